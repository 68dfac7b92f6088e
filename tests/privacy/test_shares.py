from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tests.privacy.trees import from_parents
from xstat_ray.model.row_tree import RowTree
from xstat_ray.privacy.mechanism import Mechanism
from xstat_ray.privacy.shares import choose, level_scale, objective, predicted_stderr, tree_shares

LAPLACE = Mechanism("laplace", 1, 1, Fraction(1), Fraction(0), 1.0)
GAUSSIAN = Mechanism("gaussian", 1, 1, Fraction(1), Fraction(1, 10**6), 5.0)
MAP = RowTree.of_dimensions([16] * 4)
SMALL_MAP = RowTree.of_dimensions([4] * 4)
ALL = range(5)


@pytest.mark.parametrize("mechanism", [LAPLACE, GAUSSIAN], ids=["laplace", "gaussian"])
def test_the_tree_is_chosen_for_a_map_and_says_why(mechanism):
    choice = choose(MAP, mechanism, ALL)
    assert choice.mechanism == "tree" and set(choice.shares) == set(ALL)
    for level in (0, 4):
        for shares in ({0: Fraction(1)}, choice.shares):
            assert f"{predicted_stderr(MAP, mechanism, shares, level):.3g}" in choice.reason


@pytest.mark.parametrize("reporting", [[0], [0, 1]])
def test_flat_is_chosen_for_twenty_areas(reporting):
    choice = choose(RowTree.of_dimensions([20]), LAPLACE, reporting)
    assert (choice.mechanism, choice.shares) == ("flat", {0: 1})


def test_flat_is_chosen_for_a_large_table_that_is_read_by_cell_only():
    assert choose(MAP, LAPLACE, [0]).mechanism == "flat"


def test_flat_is_chosen_without_noise():
    assert (
        choose(MAP, Mechanism("off", 1, 1, Fraction(1), Fraction(0), 0.0), ALL).mechanism == "flat"
    )


@pytest.mark.parametrize("mechanism", [LAPLACE, GAUSSIAN], ids=["laplace", "gaussian"])
@pytest.mark.parametrize("reporting", [[0, 4], [1, 3], [4], list(ALL)], ids=str)
def test_shares_are_exact_add_up_and_give_no_level_less_than_half_of_its_part(mechanism, reporting):
    shares = tree_shares(SMALL_MAP, mechanism, reporting)
    assert set(shares) == {0, *reporting}
    assert sum(shares.values()) == 1
    assert min(shares.values()) >= Fraction(1, 2 * len(shares))


def test_no_random_shares_above_the_floor_are_better():
    best = objective(SMALL_MAP, LAPLACE, tree_shares(SMALL_MAP, LAPLACE, ALL), ALL)
    rng = np.random.default_rng(1)
    for _ in range(500):
        parts = [
            Fraction(p).limit_denominator(10**6) for p in 0.1 + 0.5 * rng.dirichlet(np.ones(5))
        ]
        # 0.999: shares are multiples of 1/256.
        assert objective(SMALL_MAP, LAPLACE, dict(enumerate(parts)), ALL) > 0.999 * best


def test_a_level_that_repeats_the_one_below_is_not_measured():
    tree = from_parents([0, 0, 1, 1], [0, 1], [0, 0])
    assert set(tree_shares(tree, LAPLACE, range(4))) == {0, 1, 3}


def test_levels_together_spend_the_budget_and_never_more():
    shares = [Fraction(1, 3), Fraction(1, 7), Fraction(11, 21)]
    laplace = [Fraction(LAPLACE.scale) / Fraction(level_scale(LAPLACE, s)) for s in shares]
    gaussian = [
        Fraction(GAUSSIAN.scale) ** 2 / Fraction(level_scale(GAUSSIAN, s)) ** 2 for s in shares
    ]
    for spent in (laplace, gaussian):
        assert all(part <= share for part, share in zip(spent, shares, strict=True))
        assert 1 - Fraction(1, 10**14) < sum(spent) <= 1


def test_prediction_of_flat_grows_with_the_root_of_the_size():
    for level, size in enumerate((1, 4, 16, 64, 256)):
        predicted = predicted_stderr(SMALL_MAP, LAPLACE, {0: Fraction(1)}, level)
        assert predicted == pytest.approx(LAPLACE.stderr * size**0.5)
