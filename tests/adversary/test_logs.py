"""What an auditor reads in the logs of three domains, and whoever may read their exchange.

The criterion: with padding, two tables that differ by one person leave logs that are equal in all
but random values, and messages of equal sizes, once the dummies make up for the difference. How
likely each number of dummies is beside the other, padding bounds; so whatever these tell is as
private as the aggregator's view.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.case import COLUMNS, ROWS, Case, study
from tests.federation.domains import Domains
from tests.sizes import thorough
from xstat_ray.federation.audit import Log
from xstat_ray.federation.envelope import Header, open_message
from xstat_ray.federation.identity import Peers
from xstat_ray.privacy.padding import Padding
from xstat_ray.roles import RowParty
from xstat_ray.roles.dummies import FlagDummies, RowDummies
from xstat_ray.runtime import emission

RANDOM = re.compile("[0-9a-f]{32,128}")
DRAWN = 50
"""Dummy flags, and dummy rows of each cell, that meet nothing, beside a table without the person."""
Logs = dict[str, list[Any]]


def run(folder: Path, patch: pytest.MonkeyPatch, *, person: bool, dummies: int) -> Domains:
    """Run three domains, with one person more in both tables or without, and so many dummies."""
    folder.mkdir()
    case = Case(folder)
    more = ["one"] if person else []
    case.write("row", {"id": ROWS["id"] + more, "area": ROWS["area"] + ["a"] * len(more)})
    case.write("column", {"id": COLUMNS["id"] + more, "kind": COLUMNS["kind"] + ["x"] * len(more)})
    patch.setattr(FlagDummies, "draw", lambda padding: np.full(padding.batches, dummies))
    patch.setattr(RowDummies, "draw", lambda padding: row_dummies(padding, dummies))
    padded = study(noise="laplace", privacy={"padding": "dp", "view": {"delta": "1e-6"}})
    # In one shard, as the row party alone knows in which of several the person is.
    domains = Domains(folder / "domains", padded, case.tables, shards=1)
    domains.run()
    return domains


def row_dummies(padding: Padding, first: int) -> NDArray[np.int64]:
    """So many dummy rows in the first cell, and `DRAWN` in the others, which meet no flag."""
    drawn = np.zeros((2, padding.batches, padding.cells), np.int64)
    drawn[1] = DRAWN
    drawn[1, :, 0] = first
    return drawn


def published(domains: Domains) -> Logs:
    """The logs as they are published, with random values left out."""
    return {
        path.name: [masked(json.loads(line)) for line in path.read_text().splitlines()]
        for path in sorted((domains.out / "audit").glob("*.jsonl"))
    }


def masked(value: Any) -> Any:
    """Leave out what is random: digests, keys, signatures; and times but for their form."""
    if isinstance(value, dict):
        return {name: masked(part) for name, part in value.items()}
    if isinstance(value, str) and RANDOM.fullmatch(value):
        return len(value)
    if isinstance(value, str):
        return re.sub("[0-9]", "0", value) if re.match("[0-9]{4}-[0-9]{2}-", value) else value
    return [masked(part) for part in value] if isinstance(value, list) else value


def heads(domains: Domains) -> list[Header]:
    """Heads of all messages in the exchange, which whoever may read it can read."""
    peers = Peers({name: identity.public for name, identity in domains.identities.items()})
    return [
        open_message(path.read_bytes(), "/".join(path.parts[-2:]), peers).header
        for path in domains.messages()
    ]


def sizes(domains: Domains) -> list[tuple[object, ...]]:
    """What the heads tell of each message, but for random values and for what depends on time."""
    return [
        (h.name, h.kind, h.part, h.parts, h.first, h.rows, h.kind != "facts" and h.size)
        for h in heads(domains)
    ]


def flags_sent(domains: Domains) -> int:
    """Number of flags in all messages to the aggregator."""
    return sum(head.rows for head in heads(domains) if head.kind == "flags")


def neighbours(folder: Path, patch: pytest.MonkeyPatch, *, made_up: int) -> tuple[Domains, Domains]:
    """Runs without and with the person, where the flags lie at the edge of a message.

    Args:
        folder: where both runs lie.
        patch: undone at the end of the test.
        made_up: how many dummies fewer there are with the person.
    """
    without = run(folder / "count", patch, person=False, dummies=DRAWN)
    blocks = json.loads((without.out / "plan.json").read_text())["ciphertexts_per_cell"]
    patch.setattr(emission, "CIPHERTEXTS_A_CALL", flags_sent(without) * blocks)
    without = run(folder / "without", patch, person=False, dummies=DRAWN)
    with_one = run(folder / "with", patch, person=True, dummies=DRAWN - made_up)
    assert flags_sent(with_one) == flags_sent(without) + 1 - made_up
    return without, with_one


@thorough
def test_one_person_changes_nothing_in_the_logs_that_dummies_do_not_hide(tmp_path, monkeypatch):
    without, with_one = neighbours(tmp_path, monkeypatch, made_up=1)
    logs = published(without)
    assert set(logs) == {"row.jsonl", "column.jsonl", "aggregator.jsonl"}
    assert logs == published(with_one)
    assert sizes(without) == sizes(with_one)


@thorough
def test_exact_numbers_of_flags_would_show_as_a_message_more(tmp_path, monkeypatch):
    """The leak planted: dummies that do not vary."""
    without, with_one = neighbours(tmp_path, monkeypatch, made_up=0)
    found = [
        [(line["event"], line["facts"].get("part")) for line in logs["column.jsonl"]
         if line["facts"].get("kind") == "flags"]
        for logs in (published(without), published(with_one))
    ]  # fmt: skip
    assert found == [[("sent", 0)], [("sent", 0), ("sent", 1)]]
    assert sizes(without) != sizes(with_one)


@thorough
def test_a_count_in_a_log_is_found(tmp_path, monkeypatch):
    """The leak planted: the row party's log notes its number of persons."""
    taken = RowParty.intake
    added = Log.add
    persons = []

    def intake(self, *args):
        taken(self, *args)
        persons.append(self.counts.persons)

    def add(self, event, **facts):
        more = {"persons": persons[-1]} if event == "shown" and persons else {}
        return added(self, event, **facts, **more)

    monkeypatch.setattr(RowParty, "intake", intake)
    monkeypatch.setattr(Log, "add", add)
    without, with_one = neighbours(tmp_path, monkeypatch, made_up=1)
    assert published(without) != published(with_one)


def test_times_are_told_to_the_minute(tmp_path, monkeypatch):
    logs = published(run(tmp_path / "run", monkeypatch, person=True, dummies=DRAWN))
    assert {line["at"] for log in logs.values() for line in log} == {"0000-00-00T00:00+00:00"}
