"""Tells, for the plan and the manifest, what a release tells each role and the public of a person.

Everybody reads the published table. A role that took part also knows what it drew:

- Laplace noise is drawn jointly, and nobody knows any of it: each role faces what the public faces.
- Of Gaussian noise each role knows its own share and faces the other two. Of several row parties,
  and of several column parties, the first alone has a share; the others face all three.

The aggregator also learns what its view of the encrypted tables shows; with padding that is
(epsilon, delta)-differentially private as well, and both add up. What two roles could find out
together is not told; aggregator and key holder have the table and the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from xstat_ray.model.study import Role, Study
from xstat_ray.privacy.gaussian_profile import gaussian_epsilon
from xstat_ray.privacy.joint_gaussian import ROLES
from xstat_ray.privacy.mechanism import Mechanism
from xstat_ray.privacy.rounding import readable

Observer = Literal["public", "row", "column", "aggregator"]
_NAMES = {
    "public": "the public",
    "row": "row party",
    "column": "column party",
    "aggregator": "aggregator",
}


@dataclass(frozen=True)
class Guarantee:
    """Differential privacy of one person."""

    epsilon: Fraction
    delta: Fraction

    def plus(self, other: Guarantee) -> Guarantee:
        """What holds for both together."""
        return Guarantee(self.epsilon + other.epsilon, self.delta + other.delta)

    def as_dict(self) -> dict[str, str]:
        """Give it as JSON holds it; epsilon rounded up to six decimals where it is no fraction."""
        return {"epsilon": readable(self.epsilon), "delta": str(self.delta)}

    def __str__(self) -> str:
        return f"epsilon {_short(self.epsilon)}, delta {float(self.delta):.3g}"


@dataclass(frozen=True)
class Insiders:
    """What holds towards the public and towards each role alone; empty where noise is off."""

    towards: Mapping[str, Guarantee]
    """Of the release; several parties of a side by their names, in place of `row` or `column`."""
    with_view: Guarantee | None
    """Towards the aggregator, of the release and of what it sees before; None without padding."""
    left_out: Mapping[str, Guarantee]
    """Towards `public` and `roles` (the two others) where one role adds no share of Gaussian noise;
    empty for other noise. The role itself faces the same two shares as before."""
    noticed: Fraction | None
    """Least chance at which a role that departs from the joint draw of Laplace noise is noticed;
    None for other noise."""

    @classmethod
    def of(cls, study: Study, mechanism: Mechanism, delta: Fraction) -> Insiders:
        """Work it out.

        Args:
            study: what is counted.
            mechanism: the noise of the release.
            delta: what the release is debited with.
        """
        towards: dict[str, Guarantee] = {}
        first_row, *other_rows = _names(study, "row")
        first, *other_columns = _names(study, "column")
        others = [*other_rows, *other_columns]
        roles = (first_row, first, "aggregator")
        left_out: dict[str, Guarantee] = {}
        noticed = None
        if mechanism.noise == "laplace":
            everybody = ("public", first_row, *other_rows, first, *other_columns, "aggregator")
            towards = dict.fromkeys(everybody, Guarantee(mechanism.epsilon, delta))
            noticed = 1 - Fraction(1, study.privacy.checked)
        elif mechanism.noise == "gaussian":
            of_all, of_two, of_one = (_of_shares(mechanism, ROLES - known) for known in range(3))
            towards = {"public": of_all, **dict.fromkeys(roles, of_two)}
            towards |= dict.fromkeys(others, of_all)
            left_out = {"public": of_two, "roles": of_one}
        view = study.privacy.view
        padded = towards and study.privacy.padding == "dp"
        seen = Guarantee(view.epsilon, view.delta)
        with_view = towards["aggregator"].plus(seen) if padded else None
        return cls(towards, with_view, left_out, noticed)

    def as_dict(self) -> dict[str, Any]:
        """Give the table as JSON: what holds towards whom, by name."""
        with_view = self.with_view.as_dict() if self.with_view else None
        return {
            **{observer: held.as_dict() for observer, held in self.towards.items()},
            "aggregator_with_view": with_view,
            "share_left_out": {who: held.as_dict() for who, held in self.left_out.items()},
            "departure_noticed": None if self.noticed is None else str(self.noticed),
        }

    def sentence(self) -> str:
        """Tell people what holds, those alike in one breath."""
        if not self.towards:
            return "NOISE OFF: everybody learns the exact counts"
        alike: dict[Guarantee, list[str]] = {}
        for observer, held in self.towards.items():
            alike.setdefault(held, []).append(_NAMES.get(observer, observer))
        parts = [f"{_listed(names)} {held}" for held, names in alike.items()]
        if self.with_view is not None:
            parts.append(f"aggregator with its view {self.with_view}")
        return "; ".join(parts) + "; nothing is promised towards two roles together"


def _names(study: Study, role: Role) -> list[str]:
    """What each row party, or each column party, is called among the observers."""
    several = study.row.parties if role == "row" else study.column.parties
    return [terms.name for terms in several] or [role]


def _of_shares(mechanism: Mechanism, count: int) -> Guarantee:
    rho = mechanism.rho_of_shares(count)
    return Guarantee(gaussian_epsilon(rho, mechanism.delta), mechanism.delta)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} each"


def _short(epsilon: Fraction) -> str:
    """Round up to three digits after the point, where it is no short fraction."""
    if epsilon.denominator <= 1000:
        return str(epsilon)
    return f"{float(-(-epsilon * 1000 // 1) / 1000):g}"
