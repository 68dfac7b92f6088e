"""The key holder: nothing is decrypted without budget, nor paid for twice."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from tests.synthetic import VIEW, make_study
from xstat_ray.crypto.keygen import generate
from xstat_ray.errors import BudgetError, ProtocolError
from xstat_ray.model.messages import NoisyTable, Partial
from xstat_ray.model.study import Privacy
from xstat_ray.planning.plan import make_plan
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.privacy.noise import add_noise_once
from xstat_ray.roles import Aggregator, KeyHolder

STUDY = replace(make_study(), privacy=Privacy(epsilon=Fraction(1, 2), cap=Fraction(1)))
PLAN = make_plan(STUDY, key_bits=2048)


@pytest.fixture(scope="module")
def key():
    return generate(2048)


def noisy_table(key):
    empty = Partial(
        view=VIEW,
        cells=np.zeros(0, np.uint32),
        ciphertexts=np.zeros((0, PLAN.packing.blocks, 512), np.uint8),
    )
    table = Aggregator(key.public, 1, STUDY.cells).lay_out(empty, STUDY.cells, PLAN.packing.blocks)
    return add_noise_once(key.public, table, PLAN.packing, PLAN.design)


def test_parts_of_one_release_are_debited_once(key, tmp_path):
    holder = KeyHolder(STUDY, key, tmp_path / "ledger")
    table = noisy_table(key)
    whole = holder.decrypt(table, PLAN.packing, range(STUDY.cells))
    part = holder.decrypt(table, PLAN.packing, range(3, 7))
    assert (
        part.first == 3
        and (part.values == whole.values[3:7]).all()
        and part.release == table.release
    )
    assert Ledger(tmp_path / "ledger").spent("synthetic/row") == Fraction(1, 2)
    assert Ledger(tmp_path / "ledger").spent("synthetic/column") == Fraction(1, 2)


def test_nothing_is_decrypted_without_budget(key, tmp_path, monkeypatch):
    holder = KeyHolder(STUDY, key, tmp_path / "ledger")
    for _ in range(2):
        holder.decrypt(noisy_table(key), PLAN.packing, range(1))
    monkeypatch.setattr(type(key), "decrypt", lambda *_: pytest.fail("decrypted"))
    with pytest.raises(BudgetError, match="Nothing was decrypted"):
        holder.decrypt(noisy_table(key), PLAN.packing, range(1))


def test_a_table_of_another_size_is_refused_before_the_debit(key, tmp_path):
    holder = KeyHolder(STUDY, key, tmp_path / "ledger")
    table = noisy_table(key)
    cut = NoisyTable(release=table.release, ciphertexts=table.ciphertexts[:-1])
    with pytest.raises(ProtocolError, match="size of the study's table"):
        holder.decrypt(cut, PLAN.packing, range(1))
    assert not (tmp_path / "ledger").exists()


def test_a_table_of_another_key_is_refused(key, tmp_path):
    with pytest.raises(ProtocolError):
        KeyHolder(STUDY, key, tmp_path / "ledger").decrypt(
            noisy_table(generate(2048)), PLAN.packing, range(STUDY.cells)
        )
