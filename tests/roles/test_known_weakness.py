"""What an honest but curious party can do today although it should not be able to.

Each test plays the adversary, and passes while the attack works; see
docs/decisions/03_id_exchange.md. Whoever mends the exchange turns the assertions round.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.roles.pair import exchanged_pair
from xstat_ray.crypto import group


def test_a_party_that_keeps_what_it_computes_has_the_other_partys_person_keys(
    small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`multiply` runs when row blinds, column evaluates, column blinds, and row evaluates."""
    products = []
    keys = []
    multiply = group.multiply
    person_keys = group.person_keys

    def multiply_and_keep(*arguments: Any) -> Any:
        products.append(multiply(*arguments))
        return products[-1]

    def person_keys_and_keep(points: Any) -> Any:
        keys.append(person_keys(points))
        return keys[-1]

    monkeypatch.setattr(group, "multiply", multiply_and_keep)
    monkeypatch.setattr(group, "person_keys", person_keys_and_keep)
    exchanged_pair(small)
    of_row, of_column = ({bytes(key) for key in found} for found in keys)
    by_column, by_row = ({bytes(key) for key in person_keys(products[i])} for i in (1, 3))
    assert by_row == of_column
    assert by_column == of_row
    assert 0 < len(by_row & of_row) < len(of_row)
