"""Epsilon of many releases together by privacy loss distributions, never below the exact one.

The package dp-accounting composes them. It takes a second to import, so this is done where it is
needed. Losses are rounded to a grid by its method *connect the dots* (Doroshenko, Ghazi, Kamath,
Kumar and Manurangsi, "Connect the dots: tighter discrete approximations of privacy loss
distributions", PoPETs 2022), which never takes a distribution for a more private one.

A Laplace release is epsilon-differentially private towards one person, who moves at most L1 units,
and (epsilon / L1) towards each unit. Its trade-off function is therefore at least that of L1
steps of randomised response of epsilon / L1 (Dong, Roth and Su, "Gaussian differential privacy",
JRSS B 84, 2022, Theorem 2.14), which is that of one discrete Laplace noise of scale L1 / epsilon
against the same moved by L1: however the units lie in cells and levels. With L1 = 1 this is
randomised response, the worst of all (epsilon, 0)-private mechanisms (Kairouz, Oh and Viswanath,
"The composition theorem for differential privacy", ICML 2015). Where there are measures a unit also
moves the sum of each by at most its reach; the shares of count and sums add up to epsilon / L1 too.

Its delta is a probability with which everything is told. A noise at total variation distance t from
Laplace noise costs at most (1 + e^x) t at each x <= epsilon, and debits delta = (1 + e^epsilon) t.
That is as much as this probability costs there: the loss of Laplace noise is above x with a
divergence of at most (e^epsilon - e^x) / (1 + e^epsilon), which leaves (1 + e^x) / (1 + e^epsilon)
for delta to tell.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from xstat_ray.privacy.gaussian_profile import root_above
from xstat_ray.privacy.rounding import round_up

_ERROR = 1e-12
"""More than the rounding errors of fast Fourier transforms and truncated tails add up to."""
_STEPS = 64
"""Steps of the grid in the smallest epsilon."""
_POINTS = 1 << 20
"""Most points of the grid."""
_UNITS = 1024
"""Most steps of a discrete Laplace distribution; more units are joined, at less than 0.1 %."""
_REACH = 10
"""Standard deviations of a Gaussian loss that are thought of when the grid is chosen."""


@dataclass(frozen=True)
class Laplace:
    """Laplace releases of one kind."""

    epsilon: Fraction
    units: int
    """L1 sensitivity; 1 where only epsilon is known."""
    times: int


def composed_epsilon(laplace: Sequence[Laplace], rho: Fraction, delta: Fraction) -> Fraction | None:
    """Work out epsilon at `delta` of Laplace releases and Gaussian ones together, rounded up.

    Args:
        laplace: the Laplace releases, one kind at least.
        rho: mu^2 / 2 of all Gaussian releases (`gaussian_profile`); 0 for none.
        delta: what is left of delta when those of the Laplace releases are taken off.

    Returns:
        Epsilon; None where delta is so small that rounding errors could hide it.
    """
    wanted = -round_up(-delta) - _ERROR
    if wanted <= _ERROR:
        return None
    mu = root_above(2 * rho)
    step = _step(laplace, mu)
    loss = _distributions()
    parts = [_laplace(loss, kind, step) for kind in laplace]
    if rho:
        parts.append(
            loss.from_gaussian_mechanism(1 / mu * (1 - _ERROR), value_discretization_interval=step)
        )
    total = parts[0]
    for part in parts[1:]:
        total = total.compose(part)
    return Fraction(float(total.get_epsilon_for_delta(wanted)) * (1 + _ERROR))


def worst_together(laplace: Sequence[Laplace], delta: Fraction) -> bool:
    """Whether all releases have their largest loss at once with far more probability than delta.

    Each has it with more than one half. The sum of the epsilons is then what they cost, to a part
    in a thousand.
    """
    times = sum(kind.times for kind in laplace)
    total = sum((kind.times * kind.epsilon for kind in laplace), Fraction(0))
    return bool(1000 * delta * 2**times <= min(total, Fraction(1)))


def _laplace(loss: Any, kind: Laplace, step: float) -> Any:
    joined = -(-kind.units // _UNITS)
    one = loss.from_discrete_laplace_mechanism(
        round_up(kind.epsilon * joined / kind.units),
        -(-kind.units // joined),
        value_discretization_interval=step,
        use_connect_dots=True,
    )
    return one if kind.times == 1 else one.self_compose(kind.times)


def _step(laplace: Sequence[Laplace], mu: float) -> float:
    """Choose the grid: fine beside every loss, and not of too many points."""
    reach = float(sum(kind.times * kind.epsilon for kind in laplace))
    finest = min([float(kind.epsilon) for kind in laplace] + ([mu] if mu else []))
    return max(finest / _STEPS, 2 * (reach + mu * mu / 2 + _REACH * mu) / _POINTS)


def _distributions() -> Any:
    # The package brings absl, whose log handler keeps what standard error is when it is imported,
    # and closes it when logging is set up anew, unless it is the process's.
    with redirect_stderr(sys.__stderr__):
        from dp_accounting.pld import privacy_loss_distribution
    return privacy_loss_distribution
