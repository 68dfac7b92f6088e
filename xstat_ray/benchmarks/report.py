"""Reports of a benchmark: benchmark.json, and a table on the terminal."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import gmpy2
from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod
from rich.table import Table

from xstat_ray.benchmarks.timing import Record
from xstat_ray.crypto.kernels.choice import kernel
from xstat_ray.errors import InputError
from xstat_ray.util.files import write_whole
from xstat_ray.util.software_digest import software_version

FILE = "benchmark.json"
_PACKAGES = ("cryptography", "duckdb", "gmpy2", "numpy", "opendp", "phe", "pyarrow")


def write(suite: str, records: Sequence[Record], folder: Path) -> Path:
    """Write <folder>/benchmark.json: the suite, the software, the machine and the records.

    Returns:
        The path of the file.

    Raises:
        InputError: the folder cannot be written to.
    """
    content = {
        "suite": suite,
        "version": software_version(),
        "machine": machine(),
        "records": [asdict(record) for record in records],
    }
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise InputError(
            f"cannot write the output: {error.strerror}",
            file=str(folder),
            remedy="Choose another out=",
        ) from None
    return path


def read(path: Path, suite: str) -> list[Record]:
    """Read the records of a benchmark.json that `write` wrote.

    Raises:
        InputError: there is no such file, or it holds records of another suite.
    """
    remedy = f"Name the file that xstat-ray benchmark suite={suite} wrote"
    try:
        content = json.loads(path.read_text("utf-8"))
        found = content["suite"]
        records = [Record(**record) for record in content["records"]]
    except (OSError, ValueError, KeyError, TypeError):
        problem = "no records of a benchmark can be read"
        raise InputError(problem, file=str(path), key="records", remedy=remedy) from None
    if found != suite:
        raise InputError(
            f"these are records of {found}", file=str(path), key="records", remedy=remedy
        )
    return records


def machine() -> dict[str, Any]:
    """Describe what the records depend on: processor, usable cores, and versions.

    Nothing in it names the host.
    """
    packages = {}
    for name in _PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "kernel": kernel().name,
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "gmp": gmpy2.mp_version(),
        "packages": packages,
    }


def described() -> str:
    """Describe the machine and the day in a line, for a page."""
    facts = machine()
    today = dt.date.today().isoformat()
    return f"{facts['processor']}, {facts['cores']} cores, kernel `{facts['kernel']}`, {today}."


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor()


def show(suite: str, records: Sequence[Record], path: Path, console: Console | None = None) -> None:
    """Print the records and where they were written."""
    table = Table(
        title=f"Benchmark: {suite}",
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,
        padding=0,
    )
    compared = any(record.ratio is not None for record in records)
    # Names stay whole, so that they can be searched for; a wide number takes a second line instead.
    table.add_column("metric", no_wrap=True)
    for heading in (
        "median",
        "least",
        "most",
        "unit",
        *(("baseline", "ratio") if compared else ()),
    ):
        justify: JustifyMethod = "left" if heading == "unit" else "right"
        table.add_column(heading, justify=justify, overflow="fold")
    for record in records:
        least, most = record.spread or (None, None)
        values = [rounded(value) for value in (record.value, least, most)]
        ratio = "" if record.ratio is None else f"{rounded(record.ratio)} x"
        table.add_row(
            record.metric,
            *values,
            record.unit,
            *((rounded(record.baseline), ratio) if compared else ()),
        )
    console = console or Console()
    console.print(table)
    console.print(f"Written to {path}", soft_wrap=True)


def rounded(value: float | None) -> str:
    """Write three digits, with a letter for thousands, millions or billions; nothing for None."""
    if value is None:
        return ""
    for size, suffix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.3g}"
