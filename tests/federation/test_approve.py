"""The job with which a domain approves a run, from the settings that its other jobs have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.case import Case, study
from tests.federation.domains import RUN, Domains
from xstat_ray.errors import ApprovalError, InputError
from xstat_ray.federation.approve import approve_run
from xstat_ray.federation.config import ApproveConfig, approve_config
from xstat_ray.federation.identity import DOMAINS, Domain, Identity

STUDY = study(noise="laplace", privacy={"padding": "dp"})


@pytest.fixture
def domains(tmp_path: Path) -> Domains:
    made = Domains(tmp_path, STUDY, Case(tmp_path).tables)
    made.approved = True
    return made


def config(
    domains: Domains, domain: Domain, step: str = "sign", **changes: object
) -> ApproveConfig:
    common = (domains.study, domain, step, domains.settings(domain), domains.options, "quiet")
    return replace(ApproveConfig(*common, "en", None), **changes)


def approvals(domains: Domains) -> list[str]:
    return sorted(path.stem for path in domains.exchange.glob(f"{RUN}/approvals/*.json"))


def test_each_domain_sees_who_has_approved_and_the_last_one_all(domains: Domains):
    pages = [approve_run(config(domains, name)) for name in ("aggregator", "row", "column")]
    assert "Approved by: aggregator\n" in pages[0]
    assert "Approved by: row party, aggregator\n" in pages[1]
    assert "Approved by: row party, column party, aggregator\n" in pages[2]
    assert len({text.splitlines()[-1] for text in pages}) == 1, "one digest"
    assert approvals(domains) == sorted(DOMAINS)


def test_the_approved_run_begins(quick_key, domains: Domains):
    for name in DOMAINS:
        with pytest.raises(ApprovalError, match=name):
            domains.step("row", "handshake")
        approve_run(config(domains, name))
    with pytest.raises(Exception, match="column-row"):
        domains.step("row", "handshake")
    assert len(domains.messages()) == 1


def test_showing_signs_nothing(domains: Domains):
    shown = approve_run(config(domains, "row", "show"))
    assert "Approved by: nobody yet" in shown
    assert approvals(domains) == []


def test_only_the_digest_that_was_told_is_signed(domains: Domains):
    digest = approve_run(config(domains, "row", "show")).split()[-1]
    with pytest.raises(InputError, match=digest) as caught:
        approve_run(config(domains, "row", digest="4" * 64))
    assert caught.value.key == "digest"
    assert approvals(domains) == []
    approve_run(config(domains, "row", digest=digest))
    assert approvals(domains) == ["row"]


def test_an_approval_of_something_else_is_not_listed(domains: Domains):
    approve_run(config(domains, "row", study=study(noise="laplace", privacy={"epsilon": 2})))
    assert "Approved by: column party\n" in approve_run(config(domains, "column"))


def test_a_domain_needs_its_identity_and_three_keys(domains: Domains, tmp_path: Path):
    settings = domains.settings("row")
    with pytest.raises(InputError, match="identity cannot be read"):
        approve_run(config(domains, "row", settings=replace(settings, identity=tmp_path / "none")))
    own = Identity.load(settings.identity).public
    peers = {**settings.peers, "column": own}
    with pytest.raises(InputError, match="this domain's own key"):
        approve_run(config(domains, "row", settings=replace(settings, peers=peers)))
    assert approvals(domains) == []


RAW = {
    "study": {
        "name": "small",
        "row": {"id": "id", "dimensions": [{"name": "area", "values": ["a"]}]},
        "column": {"id": "id", "dimensions": [{"name": "kind", "values": ["x"]}]},
    },
    "privacy": {"padding": None},
    "party": "aggregator",
    "step": "sign",
    **{"crypto": {"key_bits": 2048}, "replicas": {}, "cluster": {}, "unsafe": {}},
    "domain": {
        "run": "first",
        "exchange": "shared",
        "private": "own",
        "peers": {"row": "11" * 32, "column": "22" * 32},
    },
}


def test_settings_are_those_of_the_domain_that_approves():
    read = approve_config(RAW | {"language": "ja", "digest": "0A" * 32}, "a test")
    assert (read.domain, read.step, read.language) == ("aggregator", "sign", "ja")
    assert read.digest == "0a" * 32
    assert read.study.privacy.padding == "dp", "as in the other jobs of a domain"
    assert read.options.constant_time


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("party", "driver"),
        ("step", "approve"),
        ("language", "fr"),
        ("digest", "12"),
        ("digest", "no hexadecimal"),
        ("approve", "yes"),
    ],
)
def test_bad_settings_are_refused(key: str, value: str):
    with pytest.raises(InputError, match=key):
        approve_config(RAW | {key: value}, "a test")
