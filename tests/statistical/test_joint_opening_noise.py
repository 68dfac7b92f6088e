"""Several column parties: the noise that their sum is opened with is that of the plan, once."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from tests.joint import JointOpening, joint_study, opening_of
from tests.sizes import first
from xstat_ray.crypto.keygen import generate
from xstat_ray.noise.shares import draw_gaussian_share, pack_shares
from xstat_ray.roles import Aggregator, ColumnParty
from xstat_ray.roles.aggregator import draw_share
from xstat_ray.roles.opening import proven_key

AREAS = [f"area {number}" for number in range(48)]
KINDS = [f"kind {number}" for number in range(50)]
VALUES = np.random.default_rng(5).integers(0, 40, (2, 48, 50))


@pytest.fixture(scope="module")
def keys():
    made = [generate(2048) for _ in VALUES]
    return [(key, proven_key(key)) for key in made]


def squared(opening: JointOpening, monkeypatch: pytest.MonkeyPatch) -> float:
    """Open tables; returns the sum of squares of the noise, in variances of the plan."""
    plan = opening.plan
    honest = JointOpening.tables

    def tables(self):
        """Also with the aggregator's share, in the first."""
        first, *others = honest(self)
        share = draw_share(plan.design, plan.study.slots)
        aggregator = Aggregator(self.keys[0].public, 1, len(AREAS))
        return [aggregator.rerandomise(first.ciphertexts, plan.packing, share), *others]

    monkeypatch.setattr(JointOpening, "tables", tables)
    _, opened = opening.opened()
    values = opening.row.unblind(opened, plan.packing).values
    in_order = opening.row._blinding().restore(0, VALUES.sum(0))
    (level,) = plan.design.levels
    return float((((values - in_order) / level.mechanism.stderr) ** 2).sum())


def twice(opening: JointOpening, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second column party adds noise as well."""
    honest = ColumnParty._residues
    plan = opening.plan

    def noisy(self, masked, told, part):
        numbers = honest(self, masked, told, part)
        if self is opening.first:
            return numbers
        drawn = draw_gaussian_share(plan.design, plan.study.slots)[part.start : part.stop]
        share = pack_shares(np.stack([drawn, np.zeros_like(drawn)]), plan.packing)
        return [(n + s) % told.sum_modulus for n, s in zip(numbers, share, strict=True)]

    monkeypatch.setattr(ColumnParty, "_residues", noisy)


def less(opening: JointOpening, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first column party leaves its share out."""
    del monkeypatch
    opening.first._noise = np.zeros_like(opening.first._noise)


@pytest.mark.parametrize("departure", first(1, [None, twice, less]))
def test_the_noise_of_all_is_that_of_the_plan(departure, keys, tmp_path, monkeypatch):
    """Chi-square over 2,400 counts, rejected in both directions once in a million runs.

    A fourth share is missed once in five million runs; of 1,200 counts, once in a hundred.
    """
    opening = opening_of(tmp_path, keys, joint_study(2, "gaussian", AREAS, KINDS), VALUES)
    if departure is not None:
        departure(opening, monkeypatch)
    low, high = chi2.ppf([5e-7, 1 - 5e-7], VALUES[0].size)
    assert (low < squared(opening, monkeypatch) < high) == (departure is None)
