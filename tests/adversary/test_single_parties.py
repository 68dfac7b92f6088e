"""Nobody sees what a single column party counted: neither the row party nor any column party.

A coin swaps what two column parties count, which leaves the sum as it is. There is no noise, so
that the sum hides nothing either. Each role has all numbers that it can read in the opening; it
adds and subtracts them in every way, and with the published sum, and guesses the coin. Of the masks
that a column party was shown the seed of it tries what a row party would have made that draws all
from one seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from gmpy2 import mpz

from tests.adversary.criterion import DRAWS, LEARN, Features, Guesses, guess_drawn
from tests.joint import NODES, JointOpening, made
from tests.sizes import thorough
from xstat_ray.crypto import masking
from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.packing import Packing
from xstat_ray.crypto.sum_masks import sum_mask_numbers
from xstat_ray.model.messages import MaskSeed, OpenedTable, Residues
from xstat_ray.roles import ColumnParty, joint_row_opening
from xstat_ray.roles.opening import proven_key

FEW = np.full((3, 2), 4)
MANY = np.full((3, 2), 19)
Leak = Callable[[pytest.MonkeyPatch], None]
Numbers = Mapping[str, Sequence[mpz]]
"""What a role can read of the first node, by the role's name."""


@pytest.fixture(scope="module")
def keys() -> list[Any]:
    made = [generate(2048) for _ in range(2)]
    return [(key, proven_key(key)) for key in made]


def opened_numbers(opening: JointOpening) -> Numbers:
    """Play an opening, with fresh masks, and read what each role can."""
    row = opening.row
    first, second = opening.columns
    row._mask_seed = masking.draw_seed()
    row._single_seed = masking.draw_seed()
    for party in (row, *opening.columns):
        party._settled.clear()
    masked, approvals = opening.approved()
    permits = opening.admit(masked, approvals)
    residues = opening.residues(masked, permits, NODES)
    sealed = opening.add(masked, permits, NODES, residues)
    row.accept_debits(opening.debits(permits))
    published_sum = row._open("opened", sealed, OpenedTable)
    shown = [
        column._open("mask", mask, MaskSeed).seed.tobytes()
        for column, mask in zip(opening.columns, row.show_masks("00ff" * 8), strict=True)
    ]
    modulus = opening.plan.packing.sum_modulus
    moduli = [key.public.n for key in opening.keys]
    single = joint_row_opening.sum_mask_numbers(
        row._mask_seed, row._single_seed, moduli, modulus, range(1)
    )
    guessed = [sum_mask_numbers(seed, seed, moduli, modulus, range(1)) for seed in shown]
    sums = [masking.mask_numbers(seed, modulus, range(1)) for seed in shown]
    whole = number_of(published_sum)
    of_second = Residues.decode(first._to("two").open(residues[0], "residues"), row._study.digest)
    decrypted = [
        key.decrypt(table.ciphertexts[0])[0]
        for key, table in zip(opening.keys, masked, strict=True)
    ]
    assert first.show_sums("two", [sealed]) and second
    return {
        "row": [whole, *(mask for (mask,) in single)],
        "one": [decrypted[0], number_of(of_second), sums[0][0], *(m for (m,) in guessed[0])],
        "two": [decrypted[1], whole, sums[1][0], *(m for (m,) in guessed[1])],
    }


def number_of(message: OpenedTable | Residues) -> mpz:
    """The number of the first node."""
    return from_rows(message.numbers[0])[0]


def features(numbers: Sequence[mpz], packing: Packing) -> Features:
    """Slots of all sums and differences modulo B, and what is above B."""
    modulus = packing.sum_modulus
    bits = packing.slot_bits
    found = {
        f"above {n}": float(number // modulus & 0xFFFF_FFFF) for n, number in enumerate(numbers)
    }
    for signs in product((-1, 0, 1), repeat=len(numbers)):
        total = sum(sign * number for sign, number in zip(signs, numbers, strict=True)) % modulus
        for slot in range(packing.slots):
            found[f"{signs} slot {slot}"] = float(total >> bits * slot & ((1 << bits) - 1))
    return found


def guessed(opening: JointOpening) -> dict[str, Guesses]:
    """Let every role guess which party counted many."""
    rng = np.random.default_rng(11)
    draws = DRAWS + 2 * LEARN
    worlds = [*([0, 1] * LEARN), *rng.integers(0, 2, draws - 2 * LEARN).tolist()]
    drawn = []
    for world in worlds:
        opening.values = np.stack([FEW, MANY] if world else [MANY, FEW])
        drawn.append((opened_numbers(opening), world))
    packing = opening.plan.packing
    return {
        role: guess_drawn(
            [(features(numbers[role], packing), world) for numbers, world in drawn], LEARN
        )
        for role in ("row", "one", "two")
    }


def plain_encryption(patch: pytest.MonkeyPatch) -> None:
    """Leave the randomness of masks out, of which `test_key_holder` is: that is quicker."""

    def encrypt(self: Any, numbers: Sequence[mpz], randomness: object = None) -> Any:
        public = self._public
        return to_rows([1 + number * public.n for number in numbers], public.width)

    patch.setattr(masking.MaskEncryptor, "encrypt", encrypt)


def test_no_role_tells_which_party_counted_how_much(keys, tmp_path, monkeypatch):
    plain_encryption(monkeypatch)
    found = guessed(made(tmp_path, keys, 2, "off"))
    assert {role: guesses.beat(0.5) for role, guesses in found.items()} == dict.fromkeys(
        ("row", "one", "two"), False
    )


def no_mask_of_the_second(patch: pytest.MonkeyPatch) -> None:
    """The second party's table has masks that are multiples of B."""

    def numbers(*args: Any) -> list[list[mpz]]:
        of_first, of_second = sum_mask_numbers(*args)
        modulus = args[3]
        moved = [m + other % modulus for m, other in zip(of_first, of_second, strict=True)]
        return [moved, [other // modulus * modulus for other in of_second]]

    patch.setattr(joint_row_opening, "sum_mask_numbers", numbers)


def all_from_one_seed(patch: pytest.MonkeyPatch) -> None:
    """The single masks follow from the seed that is shown."""

    def numbers(sum_seed: bytes, seed: bytes, *args: Any) -> list[list[mpz]]:
        del seed
        return sum_mask_numbers(sum_seed, sum_seed, *args)

    patch.setattr(joint_row_opening, "sum_mask_numbers", numbers)


def first_residues_alone(patch: pytest.MonkeyPatch) -> None:
    """The first column party sends the row party what it decrypted, and adds nothing up."""

    def nothing(self: ColumnParty, name: str, sealed: bytes, told: Any, *args: Any) -> list[mpz]:
        del self, name, sealed, told
        return [mpz(0)] * len(NODES)

    patch.setattr(ColumnParty, "_read_residues", nothing)


@pytest.mark.parametrize(
    ("leak", "roles"),
    [
        (no_mask_of_the_second, {"one", "two"}),
        pytest.param(all_from_one_seed, {"one", "two"}, marks=thorough),
        pytest.param(first_residues_alone, {"row"}, marks=thorough),
    ],
)
def test_with_a_leak_it_is_told(leak: Leak, roles, keys, tmp_path, monkeypatch):
    plain_encryption(monkeypatch)
    leak(monkeypatch)
    found = guessed(made(tmp_path, keys, 2, "off"))
    assert {role for role, guesses in found.items() if guesses.beat(0.5)} == roles
