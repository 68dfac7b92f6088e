"""A row party of bad faith that sends the tag of one person again and again.

It wants to know whether that person is in the other table. In one world they are, in the other
somebody else is in their place. Everything that the row party can read must be the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from tests.bad_faith import bound_nothing
from tests.case import Case, study
from tests.federation.domains import RUN, Domains
from tests.sizes import first, slow, thorough
from xstat_ray.errors import ProtocolError
from xstat_ray.federation.aggregate import AggregatorSteps
from xstat_ray.model.messages import Flags, Partial
from xstat_ray.model.study import Study
from xstat_ray.planning.plan import make_plan
from xstat_ray.privacy.padding import DummyCount
from xstat_ray.protocol import play
from xstat_ray.roles import Aggregator, aggregator
from xstat_ray.roles.join import Joined, bound
from xstat_ray.runtime.executor import LocalExecutor

AREAS = tuple(f"a{number}" for number in range(12))
OTHERS = {"m1": "a1", "m2": "a2", "m3": "a2", "r": "a7"}
"""Who else is in the row table, and where; all but the last are in both."""
WORLDS = (True, False)
"""Whether the person is in the column table."""


@pytest.fixture(autouse=True)
def bad_faith(monkeypatch: pytest.MonkeyPatch) -> None:
    bound_nothing(monkeypatch.setattr)
    # Sizes are compared, so the numbers of dummies are those that are drawn on average.
    monkeypatch.setattr(DummyCount, "draw", lambda self, count: np.full(count, self.shift))


@pytest.fixture
def unbounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant the leak: the aggregator does not look how many rows a flag meets."""
    monkeypatch.setattr(Study, "rows_per_flag_of", lambda self, party: 1 << 30)


def declared(padding: str, rows: int = 1, noise: str = "off", **fields: Any) -> Study:
    privacy = {"padding": padding, "mechanism": "flat"}
    if padding == "dp":
        privacy |= {"view": {"epsilon": 10, "delta": "1e-3"}}
    bounds = {"rows": rows, "persons": 100}
    return study(noise=noise, areas=AREAS, privacy=privacy, bounds=bounds, **fields)


def case(folder: Path, rows: list[str], present: bool) -> Case:
    """Write the tables: the person is in `rows` in the one, and perhaps in the other."""
    folder.mkdir()
    made = Case(folder)
    row = [("person", area) for area in rows] + list(OTHERS.items())
    column = ["person" if present else "stranger", "m1", "m2", "m3"]
    made.write("row", {"id": [id_ for id_, _ in row], "area": [area for _, area in row]})
    made.write("column", {"id": column, "kind": ["x", "x", "y", "x"]})
    return made


Run = Callable[[Case, Study], Path]


def in_one_process(made: Case, declared: Study) -> Path:
    made.run(declared, shards=3)
    return made.out


def in_three_domains(made: Case, declared: Study) -> Path:
    domains = Domains(made.folder, declared, made.tables, shards=3)
    domains.run()
    return domains.out


def counts(out: Path) -> NDArray[np.int64]:
    return pq.read_table(out / "statistics.parquet")["noisy"].to_numpy().astype(np.int64)


def moved(run: Run, folder: Path, declared: Study, rows: list[str]) -> int:
    """By how much the person moves all counts together."""
    both = [counts(run(case(folder / str(present), rows, present), declared)) for present in WORLDS]
    assert both[1].sum() == 3
    return int(np.abs(both[0] - both[1]).sum())


deployments = pytest.mark.parametrize("run", first(1, [in_one_process, in_three_domains], slow))
CROWD = [area for area in AREAS for _ in range(50)]
"""The person fifty times in every area."""


@deployments
@pytest.mark.parametrize("padding", first(1, ["off", "dp"]))
def test_a_crowd_under_one_tag_moves_nothing(run: Run, tmp_path: Path, padding: str) -> None:
    assert moved(run, tmp_path, declared(padding), CROWD) == 0


@deployments
@pytest.mark.parametrize("padding", first(1, ["off", "dp"]))
def test_without_the_bound_a_crowd_moves_the_table_by_all_its_rows(
    run: Run, tmp_path: Path, padding: str, unbounded: None
) -> None:
    assert moved(run, tmp_path, declared(padding), CROWD) == len(CROWD)


@pytest.mark.parametrize(
    "rows",
    first(
        2,
        [AREAS[:3], (AREAS[0],) * 2]
        + [
            pytest.param(more)
            for more in (AREAS[:1], AREAS[:2], (AREAS[0],) * 3, (AREAS[0], AREAS[11]))
        ],
    ),
    ids=len,
)
@pytest.mark.parametrize(("padding", "bound"), first(1, [("dp", 2), ("off", 1), ("off", 2)]))
def test_no_number_of_rows_moves_the_table_by_more_than_is_declared(
    tmp_path: Path, padding: str, bound: int, rows: tuple[str, ...]
) -> None:
    study = declared(padding, bound)
    most = 1 if padding == "dp" else bound
    found = moved(in_one_process, tmp_path, study, list(rows))
    assert found == (len(rows) if len(rows) <= most else 0) <= study.person_units


# What the row party can read


def form(value: Any) -> Any:
    """What is left of JSON without what every run draws or measures anew."""
    match value:
        case dict():
            return {key: form(inner) for key, inner in value.items()}
        case list():
            return [form(inner) for inner in value]
        case float():
            return "number"
        case str() if re.fullmatch(r"[0-9a-f]{32,}|\d{4}-\d\d-\d\dT.*", value):
            return len(value)
        case _:
            return value


def form_of_file(path: Path) -> Any:
    """The form of a file: its content where it is text, else its size."""
    data = path.read_bytes()
    if path.suffix == ".json":
        return form(json.loads(data))
    if path.suffix == ".jsonl":
        return [form(json.loads(line)) for line in data.splitlines()]
    if path.parent.name == "aggregator-row":
        data = re.sub(rb'"seconds":{[^}]*}', b"", data)
    return data if path.suffix == ".csv" else len(data)


def view(folder: Path) -> dict[str, Any]:
    """Everything that lies where the row party can read, but what it has sent by itself."""
    places = [folder / "exchange" / RUN, folder / "out", folder / "row" / RUN]
    return {
        str(path.relative_to(folder)): form_of_file(path)
        for place in places
        for path in place.rglob("*")
        if path.is_file() and not path.parent.name.startswith("row-")
    }


def views(run: Run, folder: Path, declared: Study) -> list[dict[str, Any]]:
    found = []
    for present in WORLDS:
        made = case(folder / str(present), CROWD, present)
        run(made, declared)
        found.append(view(made.folder))
    return found


@deployments
@pytest.mark.parametrize("padding", first(1, ["off", "dp"]))
def test_nothing_that_the_row_party_can_read_tells_of_a_removal(
    run: Run, tmp_path: Path, padding: str
) -> None:
    present, absent = views(run, tmp_path, declared(padding))
    assert present == absent
    assert {Path(name).suffix for name in present} >= {".json", ".jsonl", ".csv", ".parquet"}


@pytest.fixture
def removals(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how many flags are left out, which the code does not."""
    noted = list[int]()

    def noting(public: Any, most: int, joined: Sequence[Joined], flags: Sequence[Flags]) -> Partial:
        noted.append(sum(len(part.left_out) for part in joined))
        return bound(public, most, joined, flags)

    monkeypatch.setattr(aggregator, "bound", noting)
    return noted


@slow
def test_a_number_of_removals_in_a_log_would_tell(
    tmp_path: Path, removals: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_out = AggregatorSteps._hand_out

    def tell(self: AggregatorSteps, table: bytes) -> None:
        self._run.log.add("shown", flags=sum(removals))
        removals.clear()
        hand_out(self, table)

    monkeypatch.setattr(AggregatorSteps, "_hand_out", tell)
    present, absent = views(in_three_domains, tmp_path, declared("dp"))
    assert present != absent


@deployments
def test_a_refusal_would_tell(
    run: Run, tmp_path: Path, removals: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    bounded = Aggregator.bound

    def refusing(self: Aggregator, *parts: Joined | Flags) -> Partial:
        partial = bounded(self, *parts)
        if sum(removals):
            raise ProtocolError("a flag met too many rows")
        return partial

    monkeypatch.setattr(Aggregator, "bound", refusing)
    run(case(tmp_path / "absent", CROWD, present=False), declared("off"))
    with pytest.raises(ProtocolError, match="met too many"):
        run(case(tmp_path / "present", CROWD, present=True), declared("off"))


@thorough
def test_the_same_tasks_run_with_a_removal_and_without(
    tmp_path: Path, removals: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = LocalExecutor.submit
    names = list[str]()

    def noting(self: LocalExecutor, function: Any, *args: object) -> Any:
        names.append(function.__name__)
        return submit(self, function, *args)

    monkeypatch.setattr(LocalExecutor, "submit", noting)
    ran = []
    for present in WORLDS:
        in_one_process(case(tmp_path / str(present), CROWD, present), declared("off"))
        ran.append((names.copy(), sum(removals)))
        names.clear()
        removals.clear()
    assert ran[0][0] == ran[1][0] and {"join", "bound"} <= set(ran[0][0])
    assert (ran[0][1] > 0) and ran[1][1] == 0


# With noise: how often the row party is right


def right_guesses(folder: Path, draws: int, noise: str = "laplace") -> int:
    """Guess from the published sum in which world a run was, a coin's throw each time."""
    study = declared("off", noise=noise)
    plan = make_plan(study, key_bits=2048, shards=2)
    made = {present: case(folder / str(present), CROWD, present) for present in WORLDS}
    right = 0
    for number, present in enumerate(np.random.default_rng(5).integers(0, 2, draws).tolist()):
        tables = made[bool(present)].tables
        values = play(
            plan,
            row_table=tables["row"],
            column_table=tables["column"],
            ledger=folder / f"ledger{number}",
        ).values
        right += (values[: study.cells, 0].sum() > len(CROWD) / 2) == bool(present)
    return right


DRAWS = 40
CHANCE = 36
"""A guesser by chance is right so often out of `DRAWS` in fewer than one of a million trials."""


@slow
def test_the_row_party_guesses_no_better_than_chance(tmp_path: Path) -> None:
    assert right_guesses(tmp_path, DRAWS) < CHANCE


@slow
def test_without_the_bound_the_row_party_is_always_right(tmp_path: Path, unbounded: None) -> None:
    assert right_guesses(tmp_path, DRAWS) == DRAWS
