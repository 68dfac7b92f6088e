"""The ID exchange between two parties, without their tables and their channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from xstat_ray.crypto import oprf
from xstat_ray.crypto.oprf import item_hashes
from xstat_ray.errors import ProtocolError
from xstat_ray.model.messages import Choices, Matrix
from xstat_ray.model.study import Role
from xstat_ray.roles import id_exchange
from xstat_ray.roles.id_exchange import IdExchange, Shape, announced

SECRET = bytes(range(32))
SESSION = "ab" * 16
names = st.sets(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8), max_size=40
)


def items(*ids: str) -> NDArray[np.uint8]:
    """Hash ids as both parties do."""
    return item_hashes(SECRET, np.array([name.encode() for name in ids], "S"))


def taken(role: Role, seed: bytes, *ids: str) -> IdExchange:
    """Make a side that has its persons."""
    exchange = IdExchange(role, seed * 32)
    people = items(*ids)
    exchange.take(people, people.tobytes())
    return exchange


def transferred(
    of_row: Sequence[str] = ("ann",),
    of_column: Sequence[str] = ("ann",),
    seeds: bytes = b"\1\2",
) -> tuple[IdExchange, IdExchange]:
    """Make both sides after the oblivious transfers."""
    row = taken("row", seeds[:1], *of_row)
    column = taken("column", seeds[1:], *of_column)
    offers = row.offer(), column.offer()
    choices = row.choose(*offers, SESSION), column.choose(*offers[::-1], SESSION)
    row.accept(choices[1], SESSION)
    column.accept(choices[0], SESSION)
    return row, column


def finish(row: IdExchange, column: IdExchange) -> None:
    """Work through all bins on both sides."""
    assert row.shape == column.shape
    for number in range(row.shape.bins):
        matrices = row.hide(number, SECRET), column.hide(number, SECRET)
        row.evaluate(matrices[1], SECRET)
        column.evaluate(matrices[0], SECRET)


def keys(exchange: IdExchange) -> list[bytes]:
    """List the keys of all persons, by number."""
    return [bytes(key) for key in exchange.person_keys]


def test_a_person_has_the_same_key_at_both_parties_and_nobody_else_has_it():
    row, column = transferred(("ann", "bob", "eve"), ("dan", "eve"))
    finish(row, column)
    assert row.shape.bins == 1
    assert len({*keys(row), *keys(column)}) == 4
    assert keys(row)[2] == keys(column)[1]


@settings(max_examples=15, deadline=None)
@given(names, names)
def test_equal_persons_have_equal_keys_and_others_have_not(first, second):
    of_row = sorted(first)
    of_column = sorted(second)
    row, column = transferred(of_row, of_column)
    finish(row, column)
    found = dict(zip(of_row, keys(row), strict=True))
    others = dict(zip(of_column, keys(column), strict=True))
    assert all(found[name] == others[name] for name in first & second)
    assert len({*found.values(), *others.values()}) == len(first | second)


def test_other_secrets_of_either_party_give_other_keys():
    found = []
    for seeds in (b"\1\2", b"\1\2", b"\1\3", b"\3\2"):
        row, column = transferred(seeds=seeds)
        finish(row, column)
        assert keys(row) == keys(column)
        found += keys(row)
    assert found[0] == found[1]
    assert len(set(found)) == 3


def test_a_repeat_gives_the_same_bytes():
    row, _ = transferred(("ann", "bob", "eve"))
    again, _ = transferred(("ann", "bob", "eve"))
    assert (row.hide(0, SECRET).columns == again.hide(0, SECRET).columns).all()


def test_other_persons_under_the_same_seed_are_hidden_by_other_key_streams():
    """Under one key stream the two matrices would differ where the persons differ, and only there.

    A persons' positions are some 640 of all bits; under other streams half of the bits differ.
    """
    row, _ = transferred(("ann", "bob", "eve"))
    again, _ = transferred(("ann", "bob", "dan"))
    differing = row.hide(0, SECRET).columns ^ again.hide(0, SECRET).columns
    share = np.unpackbits(differing.view(np.uint8)).mean()
    assert 0.48 < share < 0.52


def test_another_environment_of_the_party_computes_the_same_and_takes_keys():
    row, column = transferred(("ann", "eve"), ("dan", "eve"))
    replica = taken("column", b"\0", "dan", "eve")
    replica.join(column.share())
    finish(row, column)
    assert (replica.hide(0, SECRET).columns == column.hide(0, SECRET).columns).all()
    replica.evaluate(row.hide(0, SECRET), SECRET)
    assert keys(replica) == keys(column)
    taker = taken("column", b"\0", "dan", "eve")
    taker.join(column.share())
    taker.put(0, column.keys_of(0))
    assert keys(taker) == keys(column)
    with pytest.raises(ProtocolError, match="another number of person keys"):
        taker.put(0, column.keys_of(0)[:1])


def test_the_number_of_persons_is_told_in_sixteen_steps_for_each_doubling():
    told = [announced(number) for number in range(1, 1 << 16)]
    assert told[0] == 256
    assert all(a <= b for a, b in zip(range(1, 1 << 16), told, strict=True))
    assert all(b <= max(256, a * 17 / 16) for a, b in zip(range(1, 1 << 16), told, strict=True))
    assert len({b for b in told if 1024 < b <= 2048}) == 16
    assert announced(1 << 28) == id_exchange.MOST_PERSONS


def test_a_matrix_does_not_tell_how_many_persons_a_bin_has():
    sizes = set()
    for people in ((), ("ann",), tuple(f"person {number}" for number in range(200))):
        row, _ = transferred(people)
        sizes.add(row.hide(0, SECRET).columns.shape)
    assert len(sizes) == 1


def test_the_shape_follows_from_the_announced_numbers():
    row, column = transferred()
    offer = replace(row.offer(), persons=1 << 23)
    shape = Shape.of(offer, column.offer())
    assert (shape.bins, shape.capacity("row")) == (128, oprf.capacity(1 << 23, 128))
    assert shape.capacity("column") < 300


def test_what_is_no_offer_or_no_choice_is_refused():
    row, column = transferred()
    offer = row.offer()
    for change, reason in (
        ({"persons": 255}, "fewer than 256"),
        ({"persons": (1 << 28) + 1}, "more than 268435456"),
        ({"persons": 300}, "not rounded"),
        ({"point": np.zeros((2, 32), np.uint8)}, "one group element"),
        ({"point": np.zeros((1, 32), np.uint8)}, "identity"),
    ):
        with pytest.raises(ProtocolError, match=reason):
            column.choose(column.offer(), replace(offer, **change), SESSION)
    with pytest.raises(ProtocolError, match="another number of columns"):
        row.accept(Choices(points=np.zeros((3, 32), np.uint8)), SESSION)


def test_a_matrix_of_another_size_is_refused():
    row, _ = transferred()
    with pytest.raises(ProtocolError):
        row.evaluate(Matrix(bin=0, columns=np.zeros((8, 4), np.uint64)), SECRET)


def test_a_bin_that_is_fuller_than_its_capacity_ends_the_run():
    row, _ = transferred([f"person {number}" for number in range(256)])
    # A bin of what is announced as 256 holds no more; this party has announced too few.
    row._items = np.concatenate([row._items, row._items[:1] ^ 1])
    with pytest.raises(ProtocolError, match="more ids"):
        row.hide(0, SECRET)
    for number in (-1, 1):
        with pytest.raises(ProtocolError, match="no such bin"):
            row.hide(number, SECRET)


def test_steps_out_of_order_are_refused():
    exchange = IdExchange("row", bytes(32))
    with pytest.raises(ProtocolError, match="has not begun"):
        _ = exchange.shape
    with pytest.raises(ProtocolError, match="has not taken place"):
        _ = exchange.person_keys
    with pytest.raises(ProtocolError, match="intake has not taken place"):
        exchange.offer()
    row, _ = transferred()
    with pytest.raises(ProtocolError, match="ID exchange has not taken place"):
        _ = row.person_keys
