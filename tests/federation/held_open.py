"""Runs a job of a domain and stops it just before its Ray ends, to look at what it holds:

    python -m tests.federation.held_open FOLDER aggregate ...

The run's output is FOLDER/out. What the domain holds then goes to FOLDER/held/DOMAIN/before; what
its Ray holds after an id has leaked on purpose, to FOLDER/held/DOMAIN/leaked.
"""

from __future__ import annotations

import os
import pickle
import runpy
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from ray.experimental import internal_kv

from tests.federation.canaries import IDS
from tests.runtime.memory import files, object_store, remember, spilled
from xstat_ray.runtime import ray_executor
from xstat_ray.util.package_files import JOBS

LEAKS = {"aggregator": "matched", "row": "column-only", "column": "row-only"}
"""Whose id each domain's Ray leaks in the end: as an object, which is spilled, and in hex in a
worker's log."""
FILLING = 16 << 20
_PAGE = bytes(4096)


def keep(folder: Path, contents: Iterable[tuple[str, bytes]]) -> None:
    """Write files; of a long run of zeros, such as the filling below, a part is left out."""
    for name, content in contents:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content.replace(_PAGE, _PAGE[:64]))


def fill(session: Path) -> None:
    """Fill the object store, so that what lies in it is spilled."""
    filling = [ray.put(np.zeros(FILLING, np.uint8)) for _ in range(8)]
    assert filling and spilled(session)


def keep_ray(held: Path, refs: list[Any]) -> None:
    """Keep the known objects, the store's memory with what was freed in it, and the session."""
    # Here our own token lies, in the folder around the session.
    session = Path(os.environ["RAY_AUTH_TOKEN_PATH"]).parent
    keep(held, ((f"objects/{i}", pickle.dumps(value)) for i, value in enumerate(ray.get(refs))))
    names = [
        (space, name)
        for space in (b"fun", None)
        for name in internal_kv._internal_kv_list(b"", namespace=space)
    ]
    values = (
        name + (internal_kv._internal_kv_get(name, namespace=space) or b"") for space, name in names
    )
    keep(held, ((f"control/{i}", value) for i, value in enumerate(values)))
    keep(held, ((f"store/{i}", content) for i, (_, content) in enumerate(object_store())))
    fill(session)
    keep(held / "session", files(session))


def leak(name: str) -> Any:
    text = IDS[name].casefold().encode().hex()
    ray.get(ray.remote(lambda: print(text, flush=True)).remote())
    return ray.put(IDS[name].encode() * 100_000)


def main(folder: Path, job: str) -> None:
    """Run the job."""
    refs = remember(pytest.MonkeyPatch())

    class Held(ray_executor.RayExecutor):
        def close(self) -> None:
            domain = next(iter(self.parties), "aggregator")
            held = folder / "held" / domain
            shutil.copytree(folder / "out" / "domains" / domain, held / "before" / "private")
            keep_ray(held / "before", refs)
            leaked = leak(LEAKS[domain])
            keep_ray(held / "leaked", [leaked])
            refs.clear()
            super().close()

    ray_executor.RayExecutor = Held  # type: ignore[misc]
    runpy.run_path(str(JOBS / f"{job}.py"), run_name="__main__")


if __name__ == "__main__":
    at, name = sys.argv[1:3]
    del sys.argv[1:3]
    main(Path(at), name)
