"""The key holder decrypts tables of the study's size; `test_opening.py` tells which, and when."""

from __future__ import annotations

import numpy as np
import pytest

from tests.synthetic import make_study
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.paillier import PublicEncryptor
from xstat_ray.errors import ProtocolError
from xstat_ray.model.messages import MaskedTable
from xstat_ray.planning.plan import make_plan
from xstat_ray.roles import KeyHolder

STUDY = make_study()
PLAN = make_plan(STUDY, key_bits=2048)
RELEASE = "0f" * 16


@pytest.fixture(scope="module")
def key():
    return generate(2048)


def numbers():
    """Some numbers below n, as many as there are ciphertexts."""
    return [7 * number for number in range(PLAN.design.shown * PLAN.packing.blocks)]


def masked_table(key):
    ciphertexts = PublicEncryptor(key.public, 100).encrypt(numbers())
    shape = (PLAN.design.shown, PLAN.packing.blocks, key.public.width)
    return MaskedTable(ciphertexts=ciphertexts.reshape(shape))


def test_a_table_is_opened_in_parts(key):
    holder = KeyHolder(STUDY, key)
    table = masked_table(key)
    whole = holder.decrypt(table, RELEASE, range(STUDY.cells))
    part = holder.decrypt(table, RELEASE, range(3, 7))
    assert part.first == 3 and (part.numbers == whole.numbers[3:7]).all()
    assert part.release == whole.release == RELEASE
    rows = whole.numbers.reshape(len(numbers()), -1)
    assert [int.from_bytes(bytes(row), "little") for row in rows] == numbers()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda ciphertexts: ciphertexts[:-1], "size of the study's table"),
        (lambda ciphertexts: np.zeros_like(ciphertexts), "not a ciphertext"),
    ],
)
def test_what_is_no_table_of_the_study_is_refused(key, change, reason):
    holder = KeyHolder(STUDY, key)
    table = masked_table(key)
    holder.check(table, PLAN.packing)
    with pytest.raises(ProtocolError, match=reason):
        holder.check(MaskedTable(ciphertexts=change(table.ciphertexts).copy()), PLAN.packing)
