"""Several column parties and sums are compared with one party that counts the same."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.sizes import slow, thorough
from xstat_ray.benchmarks import parties_suite
from xstat_ray.benchmarks.timed import CallCost, Costs
from xstat_ray.errors import XstatError
from xstat_ray.hokkaido.world.build import build
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.roles.id_exchange import Shape
from xstat_ray.runtime.progress import Progress

WORLD = World(first_day=dt.date(2023, 10, 29), days=1, people=1200, block=400, air=0.6, studied=25)


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> parties_suite.Sizes:
    """Make a small world."""
    folder = tmp_path_factory.mktemp("world")
    build(WORLD, folder, map, lambda _: None)
    return parties_suite.Sizes(
        folder, people=1, days=1, part=1, batches_a_day=2, rounds=1, key_bits=2048
    )


@slow
def test_all_ways_are_measured_and_give_the_same_counts(sizes: parties_suite.Sizes) -> None:
    records = {record.metric: record for record in parties_suite.run(sizes, Progress())}
    parts = ("wall", "processor", "flags")
    ways = ("counts", "halves", "second", "sums")
    names = {f"parties.{way}.{part}" for way in ways for part in parts}
    assert set(records) == {"parties.rows", *names}
    for way in ways:
        whole, flags = (records[f"parties.{way}.{part}"].value for part in parts[1:])
        assert 0 < flags < whole
    beside = [name for name, record in records.items() if record.ratio is not None]
    assert set(beside) == {name for name in names if ".counts." not in name}


@thorough
def test_halves_share_the_people_and_the_second_party_has_as_many_boardings(
    sizes: parties_suite.Sizes,
) -> None:
    with sizes.opened() as tables, parties_suite._cases(sizes, tables) as cases:
        id = cases["counts"][0].study.column.id
        found = {
            way: [set(rows(source.table, id)) for name, source in sources.items() if name != "row"]
            for way, (_, sources) in cases.items()
        }
        sizes_of = {
            way: [len(rows(source.table, id)) for name, source in sources.items() if name != "row"]
            for way, (_, sources) in cases.items()
        }
        blocks = {way: plan.packing.blocks for way, (plan, _) in cases.items()}
    (everybody,) = found["counts"]
    first, second = found["halves"]
    assert first | second == everybody and not first & second
    assert abs(len(first) - len(second)) <= 1
    assert found["second"] == [everybody, everybody]
    assert sizes_of["second"] == 2 * sizes_of["counts"]
    # What is compared fits the same number of ciphertexts.
    assert set(blocks.values()) == {1}


def rows(path: Any, id: str) -> list[str]:
    """The ids of a table."""
    found: list[str] = pq.read_table(path, columns=[id])[id].to_pylist()
    return found


@thorough
def test_counts_that_differ_are_not_reported(
    sizes: parties_suite.Sizes, monkeypatch: pytest.MonkeyPatch
) -> None:
    matches = iter(range(9))

    def spent(*_: Any) -> parties_suite.Spent:
        return parties_suite.Spent(1.0, 1.0, 1.0, next(matches))

    monkeypatch.setattr(parties_suite.Spent, "of", spent)
    with pytest.raises(XstatError, match="depend on who supplies"):
        parties_suite.run(sizes, Progress())


def test_what_grows_with_flags_leaves_out_keys_rows_and_tables() -> None:
    names = ("column.generate_key", "row.emit", "masks", "column.open_residues", "row.noise_of")
    costs = Costs({name: CallCost(100.0) for name in names})
    for number, name in enumerate(("column.emit", "row.evaluate", "join_part")):
        costs.by_name[name] = CallCost(float(1 << number))
    assert parties_suite.flag_seconds(costs) == 7


def test_people_of_all_links_are_counted_once() -> None:
    costs = Costs()
    for persons in (20, 30):
        costs.add_persons(Shape(100, persons, 1, 600))
    assert (costs.persons, costs.row_persons) == (150, 100)
