"""After `kill -9` in any step a rerun ends with the same messages, one noise and one debit."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.case import COUNTS, Case, study, use_key
from tests.federation.domains import RUN, STEPS, Domains, steps_of
from tests.killing import SYSTEM, Doom, child, clean_server, points
from tests.sizes import every_other, first, slow, thorough
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.errors import PendingError
from xstat_ray.model.study import Study

EXACT = study(privacy={"padding": "dp"})
NOISY = study(noise="laplace", privacy={"mechanism": "tree"})
CHECKED = study(noise="laplace", privacy={"mechanism": "tree", "checked": 2})
PARTIES = [{"name": "jal", "persons": 50}, {"name": "hac", "persons": 50}]
OF_TWO = {"bounds": {"rows": 1}, "column": {"parties": PARTIES}}
TWO_EXACT = study(**OF_TWO)
TWO_NOISY = study(noise="laplace", **OF_TWO)
TWO_TABLES = {
    "jal": {"id": ["1", "2"], "kind": ["x", "y"]},
    "hac": {"id": ["1", "3"], "kind": ["y", "x"]},
}
"""Person 1 is in both."""
OF_TWO_ROWS = {"row": {"parties": [{"name": "north"}, {"name": "south"}]}}
ROWS_EXACT = study(**OF_TWO_ROWS)
ROWS_NOISY = study(noise="laplace", **OF_TWO_ROWS)
ROW_TABLES = {
    "north": {"id": ["1", "2"], "area": ["a", "b"]},
    "south": {"id": ["1", "3"], "area": ["a", "a"]},
}
"""Person 1 is a customer of both, and counts twice."""
ROW_COUNTS = [3, 0, 0, 1]


@pytest.fixture(scope="module")
def server() -> BaseContext:
    return clean_server(__name__)


def run_until(
    point: int, key: bytes, arguments: Sequence[Any], step: tuple[str, str], report: Any
) -> None:
    """Do one step in this process, which SIGKILL ends at `point`; 0 is never."""
    use_key(PrivateKey.from_bytes(key))
    domains = Domains(*arguments)
    doom = Doom(point, {"put", "add", "send"}, SYSTEM | {"ftruncate"})
    doom.watch()
    with suppress(PendingError):
        domains.step(*step)
    doom.look_away()
    report.put(doom.passed)


def killed_and_resumed(
    server: BaseContext,
    key: PrivateKey,
    folder: Path,
    tables: Mapping[str, Path],
    step: tuple[str, str],
    which: Any,
    study: Study,
) -> Iterator[Domains]:
    """Domains after a run in which `step` was killed at one of five points, and resumed."""
    before = Domains(folder / "before", study, tables)
    before.run(until=step)

    def killed(name, point):
        arguments = (shutil.copytree(before.folder, folder / name), study, tables)
        return arguments, child(server, run_until, point, key.export_bytes(), arguments, step)

    _, (status, passed) = killed("whole", 0)
    assert status == 0 and len(passed) >= 5
    for point in points(passed, 5)[which]:
        arguments, end = killed(f"point {point}", point)
        assert end == (-signal.SIGKILL, [])
        domains = Domains(*arguments)
        handed_out = domains.contents()
        assert handed_out.items() >= before.contents().items()
        domains.run()
        # What anybody may have read before stays as it is.
        assert domains.contents().items() >= handed_out.items(), point
        yield domains


CASES = [pytest.param(step) for step in STEPS]


@pytest.mark.parametrize(
    "which",
    [slice(1, 4, 2), pytest.param(slice(None), marks=pytest.mark.slow)],
    ids=["2 points", "5 points"],
)
@pytest.mark.parametrize(
    "step", [*every_other(8, CASES[::2]), *first(0, CASES[1::2], slow)], ids=" ".join
)
def test_killed_in_a_step_and_resumed(server, quick_key, tmp_path, step, which):
    exact = step[1] in ("handshake", "exchange", "emit")
    noisy = CHECKED if step[1] in ("noise", "all") else NOISY
    tables = Case(tmp_path).tables
    for domains in killed_and_resumed(
        server, quick_key, tmp_path, tables, step, which, EXACT if exact else noisy
    ):
        statistics = pq.read_table(domains.out / "statistics.parquet")
        assert statistics["noisy"].to_pylist() == list(COUNTS.values()) or not exact
        log = [
            json.loads(line)
            for line in (domains.state("aggregator") / "log.jsonl").read_text().splitlines()
        ]
        assert [entry["event"] for entry in log].count("noise") == 1
        if not exact:
            assert domains.spent() == {"row": 1, "column": 1}
        for party in ("row", "column"):
            assert not (domains.state(party) / "secrets").exists()
            assert not (domains.state(party) / "handshake").exists()
        assert (
            len(domains.contents()) == len(domains.messages()) and (domains.exchange / RUN).exists()
        )


def two_tables(folder: Path) -> dict[str, Path]:
    case = Case(folder)
    paths = {"row": case.tables["row"]}
    for name, table in TWO_TABLES.items():
        paths[name] = case.write("column", table).rename(folder / f"{name}.parquet")
    return paths


OFTEN = [("hac", "handshake"), ("row", "noise"), ("hac", "decrypt"), ("jal", "decrypt")]
"""Steps that do most of what two column parties add."""
OTHERS = [step for step in steps_of(TWO_EXACT) if step not in OFTEN]


@pytest.mark.parametrize(
    ("step", "which"),
    [
        *(pytest.param(step, slice(2, 4, 2), marks=thorough) for step in OFTEN),
        *(pytest.param(step, slice(None), marks=slow) for step in OTHERS),
    ],
    ids=str,
)
def test_two_column_parties_killed_in_a_step_and_resumed(server, quick_key, tmp_path, step, which):
    exact = step[1] in ("handshake", "exchange", "emit")
    agreed = TWO_EXACT if exact else TWO_NOISY
    tables = two_tables(tmp_path)
    for domains in killed_and_resumed(server, quick_key, tmp_path, tables, step, which, agreed):
        check_resumed(domains, list(COUNTS.values()), exact)


def check_resumed(domains: Domains, counts: list[int], exact: bool) -> None:
    """Check counts, debits, and that nobody keeps a secret."""
    statistics = pq.read_table(domains.out / "statistics.parquet")
    assert statistics["noisy"].to_pylist() == counts or not exact
    for name in domains.names:
        log = (domains.state(name) / "log.jsonl").read_text().splitlines()
        events = [json.loads(line)["event"] for line in log]
        drawn = "noise" if name == "aggregator" else "debited"
        assert events.count(drawn) == (1 if name == "aggregator" or not exact else 0)
        left = {path.name for path in domains.state(name).iterdir()}
        assert not left & {"secrets", "handshake", "links", "receipts", "consented"}
    if not exact:
        assert domains.spent() == dict.fromkeys(domains.names[:-1], 1)


def row_tables(folder: Path) -> dict[str, Path]:
    case = Case(folder)
    paths = {"column": case.tables["column"]}
    for name, table in ROW_TABLES.items():
        paths[name] = case.write("row", table).rename(folder / f"{name}.parquet")
    return paths


ROWS_OFTEN = [("north", "handshake"), ("south", "handshake"), ("column", "emit"),
    ("north", "approve"), ("south", "approve"), ("column", "decrypt"), ("south", "check")]  # fmt: skip
"""Steps that do most of what two row parties add."""
ROWS_OTHERS = [step for step in steps_of(ROWS_EXACT) if step not in ROWS_OFTEN]


@pytest.mark.parametrize(
    ("step", "which"),
    [
        *(pytest.param(step, slice(2, 4, 2), marks=thorough) for step in ROWS_OFTEN),
        *(pytest.param(step, slice(None), marks=slow) for step in ROWS_OTHERS),
    ],
    ids=str,
)
def test_two_row_parties_killed_in_a_step_and_resumed(server, quick_key, tmp_path, step, which):
    exact = step[1] in ("handshake", "exchange", "emit")
    agreed = ROWS_EXACT if exact else ROWS_NOISY
    tables = row_tables(tmp_path)
    for domains in killed_and_resumed(server, quick_key, tmp_path, tables, step, which, agreed):
        check_resumed(domains, ROW_COUNTS, exact)
