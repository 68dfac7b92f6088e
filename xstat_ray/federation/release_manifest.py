"""The manifest of a release of several domains, from what each of them tells of its part."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from xstat_ray.errors import ProtocolError
from xstat_ray.federation.domain_run import DomainRun
from xstat_ray.federation.envelope import Opened
from xstat_ray.federation.identity import Domain
from xstat_ray.federation.party_facts import debit_of, object_of, read_facts
from xstat_ray.federation.roster import columns_of, rows_of
from xstat_ray.publication.manifest import make_manifest


def manifest_of(run: DomainRun, release: str, sessions: Mapping[str, Any]) -> dict[str, Any]:
    """Make the manifest of a release.

    Args:
        run: the publishing row party's part in the run.
        release: id of the release.
        sessions: what is added where there are several parties: `sessions`.

    Raises:
        MessageError: a party does not tell that it debited what the study costs, or the aggregator
            names another release.
        PendingError: one of them has not told in time.
    """
    plan = run.plan
    rows = rows_of(plan.study)
    told = {run.domain: read_facts(run.folder)}
    for name in (*rows[1:], *columns_of(plan.study)):
        (told[name],) = run.mailbox.collect(name, "facts", partial(_of_party, run, name, release))
    (aggregator,) = run.mailbox.collect("aggregator", "facts", partial(_of_aggregator, release))
    inputs: dict[str, str] = {name: facts["input"] for name, facts in told.items()}
    kernels = {
        "aggregator": aggregator["kernel"],
        **{name: facts["kernel"] for name, facts in told.items()},
    }
    facts = make_manifest(plan, release, inputs, kernels, aggregator["seconds"])
    if plan.padding is not None:
        # The dummies are drawn once in a run, whatever is interrupted.
        facts["view"]["shown"] = 1
    return facts | {
        "deployment": "federated",
        "run": run.name,
        "session": run.mailbox.session_with("aggregator"),
        **sessions,
        "domains": next(run.log.of("opened")).facts["keys"],
    }


def _of_party(run: DomainRun, party: Domain, release: str, message: Opened) -> dict[str, Any]:
    facts = object_of(message.payload, "input", "kernel", "debited")
    if facts["debited"] != debit_of(run.plan, party, release):
        whose = "the key holder" if party in columns_of(run.plan.study) else party
        raise ProtocolError(f"{whose} did not debit what the study costs")
    return facts


def _of_aggregator(release: str, message: Opened) -> dict[str, Any]:
    facts = object_of(message.payload, "release", "kernel", "seconds")
    if facts["release"] != release:
        raise ProtocolError("the aggregator's release is not the one that was opened")
    return facts
