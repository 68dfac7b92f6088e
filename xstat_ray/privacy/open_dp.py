"""What is used of OpenDP, imported when noise is first asked about.

Its library takes longer to load than all else that `xstat-ray budget` needs. Its module `prelude`
would import polars and scikit-learn as well, where they are installed.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace
from typing import Any


def laplace(scale: float) -> Any:
    """The measurement that adds discrete Laplace noise to integers; sensitivity in L1."""
    dp = _open_dp()
    return dp.measurements.make_laplace(_integers(), dp.metrics.l1_distance(T="i64"), scale=scale)


def gaussian(scale: float) -> Any:
    """The measurement that adds discrete Gaussian noise to integers; sensitivity in L2."""
    dp = _open_dp()
    return dp.measurements.make_gaussian(_integers(), dp.metrics.l2_distance(T=float), scale=scale)


def with_delta(measurement: Any) -> Any:
    """A measurement whose privacy is told in rho, with its privacy told in epsilon by delta."""
    return _open_dp().combinators.make_zCDP_to_approxDP(measurement)


def _integers() -> Any:
    domains = _open_dp().domains
    return domains.vector_domain(domains.atom_domain(T="i64"))


@cache
def _open_dp() -> SimpleNamespace:
    """The modules, with what awaits vetting by OpenDP (`contrib`) switched on."""
    from opendp import combinators, domains, measurements, metrics
    from opendp.mod import enable_features

    enable_features("contrib")
    return SimpleNamespace(
        combinators=combinators, domains=domains, measurements=measurements, metrics=metrics
    )
