"""The collaboration file: what the domains of a run agree on before anything leaves a domain.

Study, domains with their roles and keys, budgets, and what each will learn, in words. Each domain
makes the file from its settings, so that what it approves is what it will run; `approval` has the
signatures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from xstat_ray.federation.envelope import canonical
from xstat_ray.federation.identity import Domain
from xstat_ray.federation.lessons import lessons, together
from xstat_ray.federation.roster import domains_of, rows_of
from xstat_ray.model.periods import span_as_dict
from xstat_ray.model.study import Study
from xstat_ray.planning import one_person
from xstat_ray.planning.plan import Plan

FORMAT = "xstat-ray collaboration"
VERSION = 1
COLLABORATION = "collaboration.json"
"""File with the collaboration in a domain's folder of a run, and among the logs of a release."""
_HASHED_AS = b"xstat-ray collaboration\0"
ROW = "row party"
COLUMN = "column party, key holder"
AGGREGATOR = "aggregator"


@dataclass(frozen=True)
class Collaboration:
    """What the domains of one run agree on."""

    content: Mapping[str, Any]
    """The file as docs/format.md specifies it."""

    @classmethod
    def of(cls, plan: Plan, plan_digest: str, run: str, keys: Mapping[Domain, bytes]) -> Self:
        """Make the collaboration of a run.

        Args:
            plan: the plan of the release.
            plan_digest: its digest, in hex.
            run: name of the run, which is used once.
            keys: public keys of all domains.
        """
        return cls({
            "format": FORMAT,
            "version": VERSION,
            "run": run,
            "study": _study(plan.study),
            "plan": plan_digest,
            "privacy": _privacy(plan),
            "domains": {name: _domain(plan, name, keys[name]) for name in domains_of(plan.study)},
            "learns": {**lessons(plan), "two_together": together()},
        })  # fmt: skip

    def encode(self) -> bytes:
        """Encode the content in canonical JSON."""
        return canonical(self.content)

    @property
    def domains(self) -> list[Domain]:
        """Names of the domains, in the order of the study."""
        return list(self.content["domains"])

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of the encoded content behind a text of its use."""
        return hashlib.sha256(_HASHED_AS + self.encode()).hexdigest()

    def differing(self, other: Mapping[str, Any]) -> list[str]:
        """Name the parts, with dots, in which another collaboration differs from this one."""
        return list(_differing(self.content, other, ""))


def _study(study: Study) -> dict[str, Any]:
    """Describe the study in short; its digest covers all of it, the labels of its domains too."""
    return {
        "name": study.name,
        "title": dict(study.title),
        "digest": study.digest.hex(),
        "id": study.id_form,
        "period": span_as_dict(study.period),
        "rows": {dimension.name: dimension.size for dimension in study.row.dimensions},
        "columns": {name: len(labels) for name, labels in study.column_labels},
        "measures": {
            measure.name: " ".join(
                [f"{measure.low}..{measure.high}", *([measure.unit] if measure.unit else [])]
            )
            for measure in study.column.measures
        },
        "bounds": one_person.bounds(study),
    }


def _privacy(plan: Plan) -> dict[str, Any]:
    privacy = plan.study.privacy
    return {
        "noise": plan.mechanism.noise,
        "padding": privacy.padding,
        "suppress_below": privacy.suppress_below,
        "publish": privacy.publish,
    }


def _domain(plan: Plan, name: Domain, key: bytes) -> dict[str, Any]:
    facts: dict[str, Any] = {"role": _role(plan.study, name), "key": key.hex()}
    if name != "aggregator":
        facts |= {"dataset": dataset_of(plan.study, name), "budget": _budget(plan)}
    return facts


def _role(study: Study, domain: Domain) -> str:
    """Tell the role of a domain."""
    if domain == "aggregator":
        return AGGREGATOR
    return ROW if domain in rows_of(study) else COLUMN


def dataset_of(study: Study, party: Domain) -> str:
    """Name the data set whose budget a party spends."""
    terms = study.row_terms_of if study.role_of(party) == "row" else study.terms_of
    return terms(party).dataset


def _budget(plan: Plan) -> dict[str, Any]:
    """Tell what the release costs a data set, and up to which sum the study lets it spend."""
    privacy = plan.study.privacy
    mechanism = plan.mechanism
    off = mechanism.noise == "off"
    padded = privacy.padding == "dp"
    view = {"epsilon": str(privacy.view.epsilon), "delta": str(privacy.view.delta)}
    return {
        "cap": str(privacy.cap),
        "release": {
            "epsilon": "0" if off else str(mechanism.epsilon),
            "delta": "0" if off else str(plan.delta),
            "rho": "0" if off else str(mechanism.rho),
        },
        "view": view if padded else None,
    }


def _differing(expected: Any, found: Any, place: str) -> Iterator[str]:
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        for name in sorted({*expected, *found}):
            inner = f"{place}.{name}" if place else name
            yield from _differing(expected.get(name), found.get(name), inner)
    elif expected != found:
        yield place
