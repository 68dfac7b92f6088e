"""What both parties do: handshake, exchange of ids, tags, replicas, secrets on disk."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.roles.pair import agreed_pair, exchanged_pair, secrets_of, tags_of
from xstat_ray.errors import ProtocolError
from xstat_ray.model.periods import span
from xstat_ray.model.shards import ShardGrid
from xstat_ray.roles import ColumnParty, RowParty


def test_both_parties_derive_the_same_tag_for_the_same_person_and_period(small):
    row, column = exchanged_pair(small)
    tags = [tags_of(party, period=7) for party in (row, column)]
    common = {bytes(tag) for tag in tags[0]} & {bytes(tag) for tag in tags[1]}

    def ids(table, name):
        return {name for name in table[name].to_pylist() if name is not None}

    both = ids(small.rows, "person") & ids(small.flags, "passenger")
    # A person without a usable row takes no part.
    assert 0.6 * len(both) < len(common) <= len(both)
    assert not any(row._exchange.ids) and not any(column._exchange.ids)


def test_two_runs_give_unrelated_tags(small):
    tags = [
        {bytes(tag) for tag in tags_of(row, period=0)}
        for row, _ in (exchanged_pair(small), exchanged_pair(small))
    ]
    assert not tags[0] & tags[1]


def test_an_altered_or_swapped_exchange_is_refused(small):
    row, column = agreed_pair(small.study, small.row, small.column)
    whole = range(row.intake())
    first = range(0, 5)
    second = range(5, whole.stop)
    blinded = row.blind(first)
    with pytest.raises(ProtocolError, match="altered"):
        column.evaluate(blinded[:-1] + bytes([blinded[-1] ^ 1]), first)
    with pytest.raises(ProtocolError, match="altered"):
        column.evaluate(blinded, second)
    with pytest.raises(ProtocolError, match="altered"):
        # A message handed back to its sender: each direction has its own key.
        row.evaluate(blinded, first)
    short = column._seal(np.zeros((4, 32), np.uint8), f"evaluated {first}")
    with pytest.raises(ProtocolError, match="another number of points"):
        row.finalize([short], [first])
    row.finalize([column.evaluate(blinded, first)], [first])
    with pytest.raises(ProtocolError, match="exchange has not taken place"):
        tags_of(row, period=0)


def test_parties_of_different_studies_do_not_agree(small):
    row = RowParty(small.study, small.row)
    _, column = agreed_pair(small.study, small.row, small.column)
    other = replace(small.study, name="other")
    stranger = type(column)(other, small.column)
    with pytest.raises(ProtocolError, match="different studies"):
        row.agree(stranger.hello())


def test_a_confirmation_of_other_keys_is_refused(small):
    _, column = agreed_pair(small.study, small.row, small.column)
    stranger = RowParty(small.study, small.row)
    confirmation = stranger.agree(ColumnParty(small.study, small.column).hello())
    with pytest.raises(ProtocolError, match="did not confirm"):
        column.confirm(confirmation)


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda party: party.confirm(b""), "handshake has not taken place"),
        (lambda party: party.blind(range(0)), "handshake has not taken place"),
        (lambda party: party.accept(b""), "not a replica"),
        (lambda party: (party.offer(), party.hello()), "no handshake of its own"),
        (lambda party: (party.offer(), party.agree(b"")), "handshake is over"),
        (
            lambda party: tags_of(party, period=0),
            "ID exchange has not taken place",
        ),
    ],
)
def test_steps_out_of_order_are_refused(small, call, problem):
    with pytest.raises(ProtocolError, match=problem):
        call(RowParty(small.study, small.row))


@pytest.mark.parametrize("place", [0, 1])
def test_a_replica_takes_over_and_makes_the_same_choices(small, place):
    pair = agreed_pair(small.study, small.row, small.column)
    first = pair[place]
    other = pair[1 - place]
    if place == 1:
        first.generate_key(2048)
    replica = type(first)(small.study, (small.row, small.column)[place])
    sealed = first.hand_over(replica.offer())
    replica.accept(sealed)
    with pytest.raises(ProtocolError, match="not a replica"):
        replica.accept(sealed)
    whole = range(first.intake())
    assert replica.intake() == whole.stop
    # What one replica blinded, another may finish.
    evaluated = other.evaluate(first.blind(whole), whole)
    for one in (first, replica):
        one.finalize([evaluated], [whole])
    assert (tags_of(first, period=12) == tags_of(replica, period=12)).all()
    assert first.input_digest() == replica.input_digest()
    assert first.replica_digest() == replica.replica_digest()
    grid = ShardGrid.plan(small.study.cells, span(small.study.period), 3)
    for one in (first, replica):
        one.prepare(grid)
    if place == 1:
        assert all(
            (getattr(first, name) == getattr(replica, name)).all()
            for name in ("_person", "_period", "_slot")
        )
    else:
        digest = small.study.digest
        assert all(
            first.emit(s).encode(digest) == replica.emit(s).encode(digest) for s in grid.shards
        )


def test_secrets_sealed_to_one_replica_are_no_use_to_another(small):
    row, _ = agreed_pair(small.study, small.row, small.column)
    replicas = [RowParty(small.study, small.row) for _ in range(2)]
    sealed = row.hand_over(replicas[0].offer())
    replicas[1].offer()
    with pytest.raises(ProtocolError, match="not sealed to this replica"):
        replicas[1].accept(sealed)


def test_what_was_saved_is_readable_by_the_owner_only_and_restores_the_party(small, tmp_path):
    _, column = exchanged_pair(small)
    column.generate_key(2048)
    column.save(tmp_path / "own")
    assert (tmp_path / "own").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "own" / "secrets").stat().st_mode & 0o777 == 0o600
    restored = type(column)(small.study, small.column)
    restored.load(tmp_path / "own")
    assert secrets_of(restored) == secrets_of(column)


def test_the_record_holds_counts_of_rows_and_the_order_and_nothing_else(small, tmp_path):
    row, _ = exchanged_pair(small)
    row.record(tmp_path / "parties" / "row", [row.report()])
    (path,) = (tmp_path / "parties" / "row").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    record = json.loads(path.read_text())
    assert (
        record.pop("party") == "row"
        and record.pop("persons") == row.persons
        and record.pop("set_aside") == []
    )
    assert record.pop("unsorted") == ["presence.parquet"]
    assert all(isinstance(value, int) for value in record.values()) and record["rows"] == len(
        small.rows
    )
