"""The written format is enough: a script that knows only that page reads what a run leaves."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.case import Case, study
from tests.federation.domains import RUN, Domains
from tests.sizes import thorough
from xstat_ray.crypto.channel import unpack_fields
from xstat_ray.federation.audit import EVENTS
from xstat_ray.federation.envelope import Header, open_message
from xstat_ray.federation.identity import Peers

SCRIPT = Path(__file__).with_name("second_implementer.py")
PAGE = (Path(__file__).parents[2] / "docs" / "format.md").read_text()


@pytest.fixture(scope="module")
def columns() -> dict[str, Any]:
    """More columns than fit into one ciphertext of 2048 bits, so that there are several blocks."""
    return {
        "dimensions": [{"name": "kind", "values": ["x", "y", *(f"kind {i}" for i in range(298))]}]
    }


@thorough
def test_a_second_implementer_decrypts_the_published_values(quick_key, columns, tmp_path):
    case = Case(tmp_path)
    domains = Domains(
        tmp_path, study(noise="laplace", privacy={"mechanism": "tree"}, column=columns), case.tables
    )
    domains.run(until=("row", "publish"))
    seed = unpack_fields((domains.state("row") / "secrets").read_bytes())["mask"]
    kept = unpack_fields((domains.state("column") / "noise").read_bytes())
    low, high = np.load(io.BytesIO(kept["share"]))
    share = tmp_path / "share.json"
    share.write_text(json.dumps((low + high.astype(object) * 2**32).tolist()))
    domains.run()
    key = domains.identities["aggregator"].public.hex()
    arguments = [
        str(domains.exchange / RUN),
        str(domains.out / "plan.json"),
        key,
        str(quick_key.p),
        str(quick_key.q),
        seed.hex(),
        str(share),
    ]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    found = np.array(json.loads(done.stdout))
    published = (
        pq.read_table(domains.out / "statistics.parquet")["noisy"].to_numpy().reshape(2, 300)
    )
    assert json.loads((domains.out / "plan.json").read_text())["ciphertexts_per_cell"] > 1
    assert found.shape == (3, 300)
    # The key holder's view does not say which cell is which.
    assert sorted(map(tuple, found[:2])) == sorted(map(tuple, published))


def test_the_script_knows_nothing_of_this_package():
    tree = ast.parse(SCRIPT.read_text())
    names = [a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names]
    names += [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert names and not [name for name in names if name.startswith(("xstat_ray", "tests", "jobs"))]


def test_the_page_names_every_field_event_and_kind_of_a_run(quick_key, tmp_path):
    privacy = {"mechanism": "tree", "checked": 2}
    domains = Domains(tmp_path, study(noise="laplace", privacy=privacy), Case(tmp_path).tables)
    domains.run()
    peers = Peers({name: identity.public for name, identity in domains.identities.items()})
    headers = [
        open_message(p.read_bytes(), "/".join(p.parts[-2:]), peers).header
        for p in domains.messages()
    ]
    named = [
        *(field.name for field in fields(Header)),
        *EVENTS,
        *{header.kind for header in headers},
    ]
    assert len({header.kind for header in headers}) == 24
    assert [name for name in named if f"`{name}`" not in PAGE] == []
