"""The ID exchange between two parties, without their tables and their channel."""

from __future__ import annotations

import numpy as np
import pytest

from xstat_ray.crypto import group
from xstat_ray.errors import ProtocolError
from xstat_ray.roles.id_exchange import IdExchange

SALT = bytes(range(32))


def with_persons(*ids: str, seed: int = 1) -> IdExchange:
    """Make a party's exchange after `take`."""
    exchange = IdExchange(group.random_scalar())
    exchange.take(np.array([name.encode() for name in ids]), bytes([seed]) * 32)
    return exchange


def finish(exchange: IdExchange, other: IdExchange) -> None:
    """Exchange all persons that are left."""
    everybody = range(exchange.left)
    exchange.finalize(other.evaluate(exchange.blind(everybody, SALT)), everybody)


def test_a_person_has_the_same_key_at_both_parties_and_nobody_else_has_it() -> None:
    row = with_persons("ann", "bob", "eve")
    column = with_persons("dan", "eve", seed=2)
    finish(row, column)
    finish(column, row)
    of_row, of_column = ([bytes(key) for key in party.person_keys] for party in (row, column))
    assert len({*of_row, *of_column}) == 4
    assert of_row[2] == of_column[1]


def test_persons_are_exchanged_in_a_secret_order_that_follows_from_the_seed() -> None:
    names = [f"person {number}" for number in range(50)]
    orders = []
    for seed in (1, 1, 2):
        exchange = with_persons(*names, seed=seed)
        blinded = exchange.blind(range(50), SALT)
        orders.append([bytes(name) for name in exchange.finalize(blinded, range(50))[0]])
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(name.encode() for name in names) != orders[0]


def test_keys_come_in_parts_and_ids_are_forgotten_after_the_last() -> None:
    row = with_persons("ann", "bob", "eve")
    column = with_persons("eve")
    for part in (range(2), range(2, 3)):
        with pytest.raises(ProtocolError, match="ID exchange has not taken place"):
            _ = row.person_keys
        row.finalize(column.evaluate(row.blind(part, SALT)), part)
        row.forget_ids()
        assert any(row.ids) == (part.stop == 2)
    assert row.person_keys.shape == (3, 12)


def test_persons_whose_keys_were_kept_are_not_exchanged_again() -> None:
    first = with_persons("ann", "bob", "eve")
    column = with_persons("eve")
    finish(first, column)
    again = IdExchange(first.scalar)
    again.take(np.array([b"ann", b"bob", b"eve", b"new"]), bytes(32))
    known = np.array([True, True, True, False])
    again.recall(known, np.concatenate([first.person_keys, np.zeros((1, 12), np.uint8)]))
    assert (again.persons, again.left) == (4, 1)
    finish(again, column)
    assert (again.person_keys[:3] == first.person_keys).all() and again.person_keys[3].any()


def test_another_number_of_points_than_was_sent_is_refused() -> None:
    row = with_persons("ann", "bob")
    blinded = row.blind(range(2), SALT)
    with pytest.raises(ProtocolError, match="another number of points"):
        row.finalize(blinded[:1], range(2))


def test_points_that_are_not_of_the_group_are_refused() -> None:
    row = with_persons("ann")
    for wrong in (np.zeros((1, 32), np.uint8), np.full((1, 32), 255, np.uint8)):
        with pytest.raises(ProtocolError):
            row.evaluate(wrong)
        with pytest.raises(ProtocolError):
            row.finalize(wrong, range(1))


def test_before_the_intake_nothing_can_be_finalized() -> None:
    with pytest.raises(ProtocolError, match="intake has not taken place"):
        IdExchange(group.random_scalar()).finalize(np.zeros((0, 32), np.uint8), range(0))
