"""One environment of the row party emits the rows of all: nothing shows how they divide them."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.roles.pair import exchanged_pair, transfer
from tests.synthetic import VIEW, make_study
from xstat_ray.crypto.channel import Channel
from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.model.messages import Rows
from xstat_ray.model.shards import Shard
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.roles import ColumnParty, RowParty, contributions, row_party
from xstat_ray.roles.row_table import Share

CHANNEL = Channel(os.urandom(32), "row")
STUDY = bytes(32)
SHARD = Shard(3, range(4), 1)
ROWS = Rows(VIEW, 3, np.full((2, 16), 7, np.uint8), np.arange(2, dtype=np.uint32))


def opened(sealed: bytes, shard: Shard = SHARD) -> Rows:
    return contributions.take(CHANNEL, STUDY, shard, sealed)


def test_a_contribution_is_as_long_as_it_is_told_to_be_and_opens_to_its_rows() -> None:
    sizes = set()
    for rows in (ROWS, Rows(VIEW, 3, ROWS.tags[:0], ROWS.cells[:0])):
        sealed = contributions.contribute(CHANNEL, STUDY, SHARD, rows, 1000)
        sizes.add(len(sealed))
        found = opened(sealed)
        assert (found.tags == rows.tags).all() and (found.cells == rows.cells).all()
    assert len(sizes) == 1


def test_a_contribution_opens_for_its_shard_alone() -> None:
    sealed = contributions.contribute(CHANNEL, STUDY, SHARD, ROWS, 2)
    with pytest.raises(ProtocolError, match="altered"):
        opened(sealed, replace(SHARD, number=4))


def test_a_table_that_grew_after_the_announcement_ends_the_run() -> None:
    with pytest.raises(InputError, match="changed while it was read") as caught:
        contributions.contribute(CHANNEL, STUDY, SHARD, ROWS, 1)
    assert caught.value.remedy == "Start the run again"


def test_announcements_of_a_batch_add_up() -> None:
    announced = [contributions.announce(CHANNEL, 5, np.array([1, n])) for n in (0, 10**9)]
    assert contributions.add_up(CHANNEL, 5, announced).tolist() == [2, 10**9]
    assert len({len(sealed) for sealed in announced}) == 1
    with pytest.raises(ProtocolError, match="altered"):
        contributions.add_up(CHANNEL, 4, announced)


# Parties


@pytest.fixture(scope="module", params=["off", "dp"])
def exchanged(small: Any, request: pytest.FixtureRequest) -> tuple[Any, Plan, RowParty, Any]:
    """The small study with two rows of a person in an hour, and a row party that has them all."""
    study = make_study()
    privacy = replace(study.privacy, padding=request.param)
    study = replace(study, privacy=privacy, bounds=replace(study.bounds, rows=2))
    small = type(small)(**{**vars(small), "study": study})
    whole, column = exchanged_pair(small)
    return small, make_plan(study, key_bits=2048, shards=4, batch="day"), whole, column


def divide(small: Any, whole: RowParty, column: ColumnParty, number: int) -> list[RowParty]:
    """Make environments that divide the persons among them; all are exchanged, and `whole` too."""
    divided = [RowParty(small.study, small.row) for _ in range(number)]
    for place, part in enumerate(divided):
        part.accept(whole.hand_over(part.offer()))
        part.intake(Share(place, number))
    shape = transfer(divided[0], column)
    for party in (whole, *divided[1:]):
        party.join_exchange(divided[0].share_exchange())
    for bin_ in range(shape.bins):
        matrix = column.hide(bin_)
        for party in (whole, divided[bin_ * number // shape.bins]):
            party.evaluate(matrix, bin_)
    return divided


@pytest.mark.parametrize("number", [2, 3])
def test_environments_send_together_what_one_sends(exchanged, number):
    """So the aggregator's view does not depend on who has which persons."""
    small, plan, whole, column = exchanged
    divided = divide(small, whole, column, number)
    drawn = whole.draw_dummies(plan.grid)
    for party in (whole, *divided):
        party.prepare(plan.grid, drawn)
    found = emitted(plan, divided)
    for shard, rows in zip(plan.grid.shards, found, strict=True):
        expected = whole.emit(shard)
        assert (rows.tags == expected.tags).all() and (rows.cells == expected.cells).all()
    counted = sum(part.counts.kept for part in divided)
    assert counted == whole.counts.kept > 0


def test_a_message_in_the_order_of_the_environments_is_found(exchanged, monkeypatch):
    """The leak planted: rows leave as they were contributed."""
    small, plan, whole, column = exchanged
    divided = divide(small, whole, column, 2)
    drawn = whole.draw_dummies(plan.grid)
    for party in (whole, *divided):
        party.prepare(plan.grid, drawn)
    expected = [whole.emit(shard).tags for shard in plan.grid.shards]
    monkeypatch.setattr(row_party, "sort_order", lambda tags, _: np.arange(len(tags)))
    found = [rows.tags for rows in emitted(plan, divided)]
    assert any((a != b).any() for a, b in zip(found, expected, strict=True))


def emitted(plan: Plan, divided: list[RowParty]) -> list[Rows]:
    """All messages, from the environments in turn."""
    messages = []
    for shard in plan.grid.shards:
        announced = [part.announce(shard.batch) for part in divided]
        sender = divided[shard.number % len(divided)]
        others = [part for part in divided if part is not sender]
        messages.append(sender.emit(shard, *(o.contribute(shard, *announced) for o in others)))
    return messages


def test_an_environment_that_is_left_out_is_noticed(exchanged):
    small, plan, whole, column = exchanged
    first, second = divide(small, whole, column, 2)
    drawn = whole.draw_dummies(plan.grid)
    for party in (first, second):
        party.prepare(plan.grid, drawn)
    shard = plan.grid.shards[0]
    with pytest.raises(ProtocolError, match="every environment"):
        first.emit(shard)
    with pytest.raises(ProtocolError, match="every environment"):
        second.contribute(shard, second.announce(0))


def test_numbers_of_rows_before_the_shards_are_prepared_are_refused(small):
    row, _ = exchanged_pair(small)
    with pytest.raises(ProtocolError, match="before the shards"):
        row.announce(0)
