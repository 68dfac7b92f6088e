"""What both parties do: handshake, ID exchange, tags, replicas, secrets on disk."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests import oracle
from tests.roles.pair import (
    agreed_pair,
    exchange,
    exchanged_pair,
    private_key,
    row_tags,
    secrets_of,
    transfer,
)
from tests.sizes import thorough
from xstat_ray.errors import ProtocolError
from xstat_ray.model.shards import ShardGrid
from xstat_ray.planning.plan import make_plan
from xstat_ray.roles import ColumnParty, RowParty

SEED = bytes(range(32))
SEEDS = {"row": SEED, "column": SEED}


def test_both_parties_derive_the_same_tag_for_the_same_person_and_period(small):
    row, column = exchanged_pair(small, SEEDS)
    column.generate_key(2048)
    plan = make_plan(small.study, key_bits=2048, shards=1)
    of_rows = {bytes(tag) for tag in row_tags(row, plan.grid)}
    (size,) = column.prepare(plan.grid)
    flags = column.emit(0, 0, range(size), plan.packing)
    of_flags = {bytes(tag) for tag in flags.tags}
    rows = {kept[:2] for kept in oracle.kept_rows(small.study, small.rows, SEED)}
    kept_flags = {kept[:2] for kept in oracle.kept_flags(small.study, small.flags, SEED)}
    assert (len(of_rows), len(of_flags)) == (len(rows), len(kept_flags))
    assert len(of_rows & of_flags) == len(rows & kept_flags) > 50


def test_two_runs_give_unrelated_tags(small):
    grid = grid_of(small.study)
    first, second = (exchanged_pair(small, SEEDS)[0] for _ in range(2))
    tags = [{bytes(tag) for tag in row_tags(row, grid)} for row in (first, second)]
    assert len(tags[0]) == len(tags[1]) > 0 and not tags[0] & tags[1]


def grid_of(study):
    return ShardGrid.plan(study.cells, study.period.span, 3)


def test_an_altered_or_swapped_exchange_is_refused(small):
    row, column = agreed_pair(small.study, small.row, small.column)
    row.intake()
    column.intake()
    transfer(row, column)
    matrix = row.hide(0)
    with pytest.raises(ProtocolError, match="altered"):
        column.evaluate(matrix[:-1] + bytes([matrix[-1] ^ 1]), 0)
    with pytest.raises(ProtocolError, match="altered"):
        column.evaluate(matrix, 1)
    with pytest.raises(ProtocolError, match="altered"):
        # A message handed back to its sender: each direction has its own key.
        row.evaluate(matrix, 0)
    column.evaluate(matrix, 0)
    with pytest.raises(ProtocolError, match="exchange has not taken place"):
        row_tags(row, grid_of(small.study))


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
        (lambda party: party.intake(), "handshake has not taken place"),
        (lambda party: party.offer_columns(), "intake has not taken place"),
        (lambda party: party.accept(b""), "not a replica"),
        (lambda party: (party.offer(), party.hello()), "no handshake of its own"),
        (lambda party: (party.offer(), party.agree(b"")), "handshake is over"),
        (lambda party: party.is_sorted(), "intake has not taken place"),
    ],
)
def test_steps_out_of_order_are_refused(small, call, problem):
    with pytest.raises(ProtocolError, match=problem):
        call(RowParty(small.study, small.row))


@thorough
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
    for party in (first, other, replica):
        party.intake()
    exchange(*pair, replica)
    assert first.replica_digest() == replica.replica_digest()
    plan = make_plan(small.study, key_bits=2048, shards=3)
    prepared = [party.prepare(plan.grid) for party in (first, replica)]
    assert prepared[0] == prepared[1]
    if place == 0:
        digest = small.study.digest
        shards = plan.grid.shards
        emitted = [[p.emit(shard).encode(digest) for shard in shards] for p in (first, replica)]
        assert emitted[0] == emitted[1]
    else:
        key = private_key(first)
        for batch, size in enumerate(prepared[0]):
            flags = [p.emit(batch, 0, range(size), plan.packing) for p in (first, replica)]
            assert (flags[0].tags == flags[1].tags).all()
            opened = [key.decrypt(part.ciphertexts.reshape(-1, 512)) for part in flags]
            assert opened[0] == opened[1]


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


def test_the_record_holds_counts_of_rows_forms_and_the_order_and_nothing_else(small, tmp_path):
    row, _ = exchanged_pair(small)
    row.record(tmp_path / "parties" / "row", [row.report()])
    (path,) = (tmp_path / "parties" / "row").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    record = json.loads(path.read_text())
    assert (record.pop("party"), record.pop("persons")) == (
        "row",
        len(set(small.rows["person"].to_pylist()) - {"", None}),
    )
    assert record.pop("set_aside") == []
    assert record.pop("unsorted") == ["presence.parquet"]
    assert record.pop("exclude") == []
    assert set(record.pop("forms")) == {"invalid_id", "outside_domain"}
    assert all(isinstance(value, int) for value in record.values())
    assert record["rows"] == len(small.rows)
