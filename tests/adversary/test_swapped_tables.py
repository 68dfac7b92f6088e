"""Tables and lists that change while a run is under way.

A step may be killed and run again, and between two steps lie days. Whoever may write a party's
table or its list of people to leave out, in good faith or not, changes it in between. A person would
then count more often than the bounds allow, or although they had opted out. Every change must be
refused by name before anything that rests on it leaves the party.

The leak that is planted for each attack is the comparison taken away.
"""

from __future__ import annotations

import datetime as dt
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.case import HOURS, ROWS, Case, counts, study
from tests.federation.domains import STEPS, Domains
from tests.sizes import first, slow, thorough
from xstat_ray import InputError, Release
from xstat_ray.federation.mailbox import Mailbox
from xstat_ray.inputs import read_digests, table_files
from xstat_ray.inputs.read_digests import ReadDigests
from xstat_ray.inputs.source import Source
from xstat_ray.inputs.table_files import Stamp
from xstat_ray.model.study import Role, Study
from xstat_ray.runtime.driver import Driver

Table = dict[str, list[Any]]


@pytest.fixture
def nothing_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant the leak: what is read again may be anything."""
    for check in ("_note", "_list", "_check_stamp", "check_all_listed", "check_unchanged"):
        monkeypatch.setattr(ReadDigests, check, lambda *_: None)
    monkeypatch.setattr(ReadDigests, "_files", {}, raising=False)
    monkeypatch.setattr(read_digests.TableDigests, "begin", lambda *_: None)
    monkeypatch.setattr(read_digests.TableDigests, "footer", lambda *_: None)


@pytest.fixture
def blind_stamps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have sizes and times of change tell nothing, as where a file is put there with its times."""
    for module in (read_digests, table_files):
        monkeypatch.setattr(module, "stamp_of", lambda path: Stamp(1, 1))


# Attacks on three domains


class Dead(BaseException):
    """Stands for the death of a process."""


@contextmanager
def killed_after(kind: str, messages: int) -> Iterator[None]:
    """Kill the step that hands out one message more than these of a kind."""
    send = Mailbox.send
    sent = itertools.count()

    def send_or_die(self: Mailbox, receiver: Any, of: str, *args: Any, **options: Any) -> Any:
        if of == kind and next(sent) == messages:
            raise Dead
        return send(self, receiver, of, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Mailbox, "send", send_or_die)
        yield


def emit_one_by_one(
    domains: Domains, role: Role, kind: str, messages: int, change: Callable[[int], object]
) -> None:
    """Have a party emit one message at a time, and change its input before each."""
    domains.run(until=(role, "emit"))
    for number in range(messages):
        change(number)
        last = number == messages - 1
        with killed_after(kind, 99 if last else 1):
            try:
                domains.step(role, "emit")
            except Dead:
                assert not last
    domains.run()


def published(domains: Domains) -> dict[tuple[str, str], int]:
    tables = (pq.read_table(domains.out / f"{name}.parquet") for name in ("statistics", "areas"))
    return counts(Release(*tables, {}, {}))


PEOPLE = [f"p{number}" for number in range(24)]
AREAS = "abcd"


def moved_between_kills(folder: Path) -> Counter[str]:
    """Move each person to the next area of an order of their own, before each shard leaves.

    Some order meets the secret order of the areas. Returns the units of each person, who may have
    one.
    """
    orders = list(itertools.permutations(AREAS))
    case = Case(folder)
    case.write("column", {"id": PEOPLE, "kind": PEOPLE})

    def change(number: int) -> None:
        case.write("row", {"id": PEOPLE, "area": [order[number] for order in orders]})

    change(0)
    declared = study(areas=AREAS, column={"dimensions": [{"name": "kind", "values": PEOPLE}]})
    domains = Domains(folder / "domains", declared, case.tables, shards=4)
    assert declared.person_units == 1 and len(domains.options.plan(declared).grid.shards) == 4
    emit_one_by_one(domains, "row", "rows", 4, change)
    return units(domains)


def units(domains: Domains) -> Counter[str]:
    found = Counter[str]()
    for (_, person), count in published(domains).items():
        found[person] += count
    return found


def rebooked_between_kills(folder: Path) -> Counter[str]:
    """Have each person board in the hours of the next batch, before each batch of flags leaves."""
    start = dt.datetime(2024, 1, 1)
    hours = [start + dt.timedelta(hours=hour) for hour in range(48)]
    people = PEOPLE[:3]
    case = Case(folder)
    everywhere = {"id": people * 48, "at": sorted(hours * 3), "area": ["a"] * 144}
    case.write("row", everywhere)

    def change(number: int) -> None:
        case.write("column", {"id": people, "at": [hours[12 * number]] * 3, "kind": people})

    change(0)
    declared = study(
        areas="a",
        row={"time": "at"},
        column={"time": "at", "dimensions": [{"name": "kind", "values": people}]},
        period=HOURS,
    )
    domains = Domains(folder / "domains", declared, case.tables, shards=4)
    assert declared.person_units == 1 and len(domains.options.plan(declared).grid.batches) == 4
    emit_one_by_one(domains, "column", "flags", 4, change)
    return units(domains)


ATTACKS = {"row": moved_between_kills, "column": rebooked_between_kills}


@pytest.mark.parametrize(
    "stamps", first(1, [True, False]), ids=["", "with the times of the other file"]
)
@pytest.mark.parametrize("party", ATTACKS)
def test_nobody_counts_more_often_by_a_table_that_changes_between_kills(
    tmp_path, party, stamps, request
):
    if not stamps:
        request.getfixturevalue("blind_stamps")
    with pytest.raises(
        InputError, match=rf"has changed since the run began .*{party}s?\w*\.parquet"
    ):
        ATTACKS[party](tmp_path)


@pytest.mark.usefixtures("nothing_compared")
@pytest.mark.parametrize("party", first(1, list(ATTACKS)))
def test_without_the_comparison_a_person_counts_as_often_as_there_are_messages(
    tmp_path, party, monkeypatch
):
    # Of several rows of one person in a batch, the aggregator's bound would take each away.
    monkeypatch.setattr(Study, "rows_per_flag_of", lambda self, party: 1 << 30)
    assert max(ATTACKS[party](tmp_path).values()) == 4


def opted_out_between_kills(folder: Path) -> dict[tuple[str, str], int]:
    """Have person 1 opt out, and person 4 take it back, after the first message of rows has left.

    Person 1 alone is of kind x, so what counts there is theirs, or is taken for theirs.
    """
    case = Case(folder)
    case.write("row", {"id": ["1", "2", "3", "4"], "area": ["a"] * 4})
    case.write("column", {"id": ["1", "2", "3"], "kind": ["x", "y", "y"]})
    out = folder / "out.parquet"
    rewrite(out, {"id": ["4"]})
    sources = {"row": Source(case.tables["row"], exclude=out), "column": case.tables["column"]}
    domains = Domains(folder / "domains", study(), sources)

    def change(number: int) -> None:
        if number == 1:
            rewrite(out, {"id": ["1"]})

    emit_one_by_one(domains, "row", "rows", 2, change)
    return published(domains)


def test_who_opts_out_during_a_run_does_not_count_in_it(tmp_path):
    with pytest.raises(InputError, match=r"has changed since the run began .*out\.parquet"):
        opted_out_between_kills(tmp_path)


@thorough
@pytest.mark.usefixtures("nothing_compared")
def test_without_the_comparison_who_opts_out_may_count_all_the_same(tmp_path):
    # Which area leaves first is secret; in some run it is that of the person.
    runs = (opted_out_between_kills(folder_of(tmp_path, n)) for n in range(20))
    assert any(found["a", "x"] + found["b", "x"] for found in runs)


def folder_of(folder: Path, number: int) -> Path:
    (folder / str(number)).mkdir()
    return folder / str(number)


# Every change at every boundary


def rewrite(path: Path, table: Table) -> None:
    pq.write_table(pa.table(table), path)


CHANGES: Mapping[str, Callable[[Case, Role], object]] = {
    "a value": lambda case, role: case.write(role, swapped(column_of(case, role))),
    "the list": lambda case, role: rewrite(list_of(case, role), {"id": ["2"]}),
    "a person": lambda case, role: case.write(
        role, column_of(case, role) | {"id": ["1", "2", "3", "5"]}
    ),
    "the time of change": lambda case, role: os.utime(case.tables[role], ns=(1, 1)),
    "the list, emptied": lambda case, role: rewrite(list_of(case, role), {"id": [""]}),
    "the table, gone": lambda case, role: case.tables[role].unlink(),
    "the order": lambda case, role: case.write(
        role, {name: values[::-1] for name, values in column_of(case, role).items()}
    ),
    "a row more": lambda case, role: case.write(
        role, {name: [*values, values[0]] for name, values in column_of(case, role).items()}
    ),
    "the list, gone": lambda case, role: list_of(case, role).unlink(),
}


def column_of(case: Case, role: Role) -> Table:
    return pq.read_table(case.tables[role]).to_pydict()


def swapped(table: Table) -> Table:
    """Swap the values of the first two rows, and with them nothing of the ids."""
    name = next(name for name in table if name != "id")
    first, second, *rest = table[name]
    return table | {name: [second, first, *rest]}


def list_of(case: Case, role: Role) -> Path:
    return case.folder / f"{role} out.parquet"


@contextmanager
def put_back(case: Case, role: Role) -> Iterator[None]:
    """Put a party's files back as they were, with their times."""
    paths = [case.tables[role], list_of(case, role)]
    kept = [(path.read_bytes(), path.stat().st_mtime_ns) for path in paths]
    yield
    for path, (content, changed) in zip(paths, kept, strict=True):
        path.write_bytes(content)
        os.utime(path, ns=(changed, changed))


EXPECTED = {("a", "x"): 2, ("a", "y"): 0, ("b", "x"): 0, ("b", "y"): 0}
"""Person 2 is left out by the row party, person 9 by the column party."""


def with_lists(case: Case) -> dict[str, Source]:
    rewrite(list_of(case, "row"), {"id": ["2"]})
    rewrite(list_of(case, "column"), {"id": ["9"]})
    rewrite(list_of(case, "row"), {"id": ["4", "2"]})
    return {role: Source(case.tables[role], list_of(case, role)) for role in ("row", "column")}


FIRST_READING = next(step for role, step in STEPS if role == "row" and step != "handshake")
BOUNDARIES: list[tuple[Role, str]] = [
    ("row", "emit"),
    ("column", "flags"),
    ("row", "rows"),
    ("column", "emit"),
    ("row", "offer"),
    ("column", "offer"),
]
"""Who is stopped, and where: before the step emit, in it after the first message of rows or before
the flags, or before the first message of the step in which the table is read for the first time."""
CASES = [
    (*BOUNDARIES[(place + shift) % len(BOUNDARIES)], change)
    for shift in range(len(BOUNDARIES))
    for place, change in enumerate(CHANGES)
]
"""All of them, so that the first have each change once."""


@pytest.mark.parametrize(
    ("role", "where", "change"), [*first(3, CASES[:12]), *first(0, CASES[12:], slow)]
)
def test_every_change_at_every_boundary_is_refused_and_put_back_the_run_ends_as_it_would(
    tmp_path, role, where, change
):
    case = Case(tmp_path)
    domains = Domains(tmp_path / "domains", study(), with_lists(case))
    step = FIRST_READING if where == "offer" else "emit"
    domains.run(until=(role, step))
    if where != "emit":
        with killed_after(where, 1 if where == "rows" else 0), pytest.raises(Dead):
            domains.step(role, step)
    with put_back(case, role):
        before = domains.contents()
        CHANGES[change](case, role)
        with pytest.raises(InputError) as caught:
            domains.step(role, step)
        name = list_of(case, role).name if "list" in change else case.tables[role].name
        assert name in str(caught.value)
        assert domains.contents() == before
    domains.run()
    assert published(domains) == EXPECTED


@thorough
def test_a_list_that_is_added_or_dropped_between_steps_is_refused(tmp_path):
    case = Case(tmp_path)
    sources = with_lists(case)
    domains = Domains(tmp_path / "domains", study(), sources)
    domains.run(until=("row", "emit"))
    out = list_of(case, "row")
    for lists, problem in (((), "is gone"), ((out, out), "not there when the run began")):
        domains.sources["row"] = Source(case.tables["row"], lists)
        with pytest.raises(InputError, match=problem):
            domains.step("row", "emit")
    domains.sources["row"] = sources["row"]
    domains.run()
    assert published(domains) == EXPECTED


# In one cluster


@contextmanager
def changed_before(stage: str, change: Callable[[], object]) -> Iterator[None]:
    """Change something while a run is under way, just before a stage of the driver."""
    method = getattr(Driver, stage)

    def changed(self: Driver, *args: Any, **options: Any) -> Any:
        change()
        return method(self, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Driver, stage, changed)
        yield


def run(case: Case, declared: Study, **options: Any) -> dict[tuple[str, str], int]:
    return counts(case.run(declared, **with_lists(case), **options))


@pytest.mark.parametrize("role", ["row", "column"])
@pytest.mark.parametrize("change", first(2, list(CHANGES)))
def test_a_change_after_the_survey_ends_a_run_in_one_process(tmp_path, role, change):
    case = Case(tmp_path)
    with (
        changed_before("aggregate", lambda: CHANGES[change](case, role)),
        pytest.raises(InputError, match="has changed since the run began"),
    ):
        run(case, study())
    assert case.debits() == 0 and case.published() == set()


@thorough
@pytest.mark.ray
@pytest.mark.parametrize("role", ["row", "column"])
@pytest.mark.parametrize("change", ["the list", "a value"])
def test_a_change_after_the_survey_ends_a_run_on_ray(ray_folder, tmp_path, role, change):
    case = Case(tmp_path)
    options = {"runtime": "ray", "replicas": {"row": 2, "column": 2}}
    with (
        changed_before("aggregate", lambda: CHANGES[change](case, role)),
        pytest.raises(InputError, match="has changed since the run began"),
    ):
        run(case, study(), **options)
    assert case.debits() == 0 and case.published() == set()
    case.write("row", ROWS)
    case.tables["column"] = case.write("column", {"id": ["1", "2", "3", "9"], "kind": [*"xyxy"]})
    assert run(case, study(), **options) == EXPECTED


@pytest.mark.usefixtures("nothing_compared")
def test_without_the_comparison_a_run_counts_a_table_that_it_did_not_survey(tmp_path):
    case = Case(tmp_path)
    with changed_before("aggregate", lambda: CHANGES["a value"](case, "row")):
        assert run(case, study()) != EXPECTED


@pytest.mark.parametrize("stage", ["rerandomise", "release"])
def test_a_run_that_is_taken_up_with_other_tables_mixes_nothing(tmp_path, stage):
    """It counts the new tables from the start, or finishes what the old ones gave; never both."""
    case = Case(tmp_path)
    noisy = study(noise="laplace", privacy={"epsilon": 15, "cap": 80})

    def die() -> None:
        raise Dead

    with changed_before(stage, die), pytest.raises(Dead):
        run(case, noisy)
    case.write("row", {"id": ["1", "2", "3", "4", *PEOPLE], "area": ["a"] * 28})
    case.write("column", {"id": ["1", "3", *PEOPLE], "kind": ["x"] * 26})
    sources = with_lists(case)
    release = case.run(noisy, **sources)
    near = 26 if stage == "rerandomise" else 2
    assert abs(counts(release)["a", "x"] - near) < 5
    assert case.debits() == 15
    with pytest.raises(InputError, match="already holds a release"):
        case.run(noisy, **sources)
    assert case.debits() == 15
