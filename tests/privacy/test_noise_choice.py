"""Noise `auto`: the noise that errs less, of those of which enough releases fit under the cap."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from tests.synthetic import make_study
from xstat_ray.model.study import Bounds, Privacy
from xstat_ray.privacy.accountant import GAUSSIAN, Spending
from xstat_ray.privacy.design import Design
from xstat_ray.privacy.mechanism import Mechanism
from xstat_ray.privacy.noise_choice import choose_noise

DELTA = Fraction(1, 10**6)


def study(rows=1, boardings=1, **privacy):
    """A study with windows: a person of one boarding is in four columns once."""
    declared = Privacy("auto", delta=DELTA, **privacy)
    return replace(make_study(), bounds=Bounds(rows, boardings, 100, boardings), privacy=declared)


def named(asked, noise):
    return replace(asked, privacy=replace(asked.privacy, noise=noise))


@pytest.mark.parametrize("mechanism", ["flat", "tree", "auto"])
@pytest.mark.parametrize("insiders", ["full", "shared"])
@pytest.mark.parametrize(("rows", "boardings"), [(1, 1), (1, 4), (4, 1), (1, 40)])
def test_the_noise_with_the_smaller_error_is_chosen(rows, boardings, insiders, mechanism):
    asked = study(rows, boardings, insiders=insiders, mechanism=mechanism, cap=Fraction(10))
    choice = choose_noise(asked)
    designs = {noise: Design.of_study(named(asked, noise)) for noise in ("laplace", "gaussian")}
    assert Design.of_study(asked) == designs[choice.noise]
    for noise, design in designs.items():
        candidate = choice.candidates[noise]
        assert candidate.budget == design.budget and candidate.lasts
        assert candidate.shares == {level.level: level.share for level in design.levels}
    errors = {noise: made.error for noise, made in choice.candidates.items()}
    assert errors[choice.noise] == min(errors.values())
    assert choice.reason.startswith(
        f"{choice.noise}: predicted standard error, Laplace or Gaussian"
    )


def test_both_noises_are_chosen_somewhere():
    assert choose_noise(study()).noise == "laplace"
    # One boarding in 24 columns: L1 is 24 and L2 its root.
    window = {"anchor": "departure", "name": "departure", "unit": "hour", "from": -24, "to": -1}
    wide = replace(study(), column=make_study(windows=[window]).column)
    choice = choose_noise(wide)
    assert choice.noise == "gaussian"
    sizes = [choice.candidates[noise].stderrs["cell"] for noise in ("laplace", "gaussian")]
    assert sizes == pytest.approx([33.94, 20.70 * 1.5**0.5], abs=0.01)


def test_insiders_count_with_the_noise_that_they_would_get():
    full = choose_noise(study(insiders="full")).candidates
    shared = choose_noise(study(insiders="shared")).candidates
    assert full["laplace"] == replace(shared["laplace"], budget=full["laplace"].budget)
    assert full["gaussian"].error == pytest.approx(1.5**0.5 * shared["gaussian"].error, rel=0.01)


@pytest.mark.parametrize(
    ("releases", "noise"), [(1, "laplace"), (10, "laplace"), (11, "gaussian"), (63, "gaussian")]
)
def test_the_budget_must_last_for_as_many_releases_as_are_asked_for(releases, noise):
    choice = choose_noise(study(2, 1, releases=releases, cap=Fraction(10), insiders="shared"))
    assert choice.noise == noise
    assert choice.candidates["laplace"].lasts == (releases <= 10)
    gaussian = choice.candidates["gaussian"]
    spent = Spending().plus(Fraction(1), gaussian.budget.rho, releases, noise=GAUSSIAN)
    assert gaussian.total == spent.epsilon(DELTA)
    assert gaussian.lasts == (gaussian.total <= 10)


def test_where_neither_lasts_the_cheaper_one_is_named():
    choice = choose_noise(study(releases=1000, cap=Fraction(2)))
    assert not any(made.lasts for made in choice.candidates.values())
    assert choice.noise == "gaussian"


def test_laplace_noise_needs_its_delta_for_every_release():
    asked = study(releases=2, cap=Fraction(10))
    scarce = replace(asked, privacy=replace(asked.privacy, delta=Fraction(15, 10**10)))
    choice = choose_noise(scarce)
    assert choice.candidates["laplace"].total is None and choice.noise == "gaussian"
    assert "costs more delta" in choice.reason or "cost more delta" in choice.reason


def test_noise_is_not_calibrated_before_it_is_chosen():
    with pytest.raises(ValueError, match="chosen before"):
        Mechanism.of_study(study())
