"""Nothing leaves a domain before all three have approved the same collaboration.

The attacks: a changed study, budget or text; missing and foreign signatures; signatures of another
file, run or domain; and a party that edits the file after the others have signed. Each is refused
by name, and the exchange then holds no message.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.case import Case, study
from tests.federation.domains import RUN, Domains
from xstat_ray.errors import ApprovalError, MessageError, PendingError
from xstat_ray.federation import approvals
from xstat_ray.federation.approve import approve_for_all, collaboration_of
from xstat_ray.federation.collaboration import Collaboration
from xstat_ray.federation.envelope import canonical
from xstat_ray.federation.exchange import Exchange
from xstat_ray.federation.identity import DOMAINS, Domain, Identity, Peers

STUDY = study(noise="laplace", privacy={"padding": "dp"})
FIRST_STEPS: dict[Domain, str] = {"row": "handshake", "column": "handshake", "aggregator": "attest"}
Edit = Callable[[dict[str, Any]], None]


@pytest.fixture
def domains(tmp_path: Path) -> Domains:
    """Domains of which nobody has approved anything."""
    made = Domains(tmp_path, STUDY, Case(tmp_path).tables)
    made.approved = True
    return made


def keys(domains: Domains) -> dict[Domain, bytes]:
    return {name: identity.public for name, identity in domains.identities.items()}


def agreed(domains: Domains, run: str = RUN) -> Collaboration:
    return collaboration_of(domains.options.plan(domains.study), run, keys(domains))


def sign(domains: Domains, collaboration: Collaboration, *names: Domain) -> None:
    exchange = Exchange.at(domains.location, RUN)
    for name in names:
        approvals.approve(exchange, collaboration, name, domains.identities[name])


def edited(collaboration: Collaboration, edit: Edit) -> Collaboration:
    content = json.loads(collaboration.encode())
    edit(content)
    return Collaboration(content)


def leaves_nothing(domains: Domains, name: Domain, error: type[Exception], reason: str) -> None:
    """The domain begins nothing, and says why."""
    with pytest.raises(error, match=reason):
        domains.step(name, FIRST_STEPS[name])
    assert domains.messages() == []
    assert not (domains.state(name) / "log.jsonl").read_bytes()


@pytest.mark.parametrize("missing", DOMAINS)
def test_who_has_not_approved_is_named_and_nothing_leaves(domains: Domains, missing: Domain):
    sign(domains, agreed(domains), *(name for name in DOMAINS if name != missing))
    for name in DOMAINS:
        leaves_nothing(domains, name, ApprovalError, f"not approved by: {missing}. ")


def test_nobody_has_approved(domains: Domains):
    with pytest.raises(ApprovalError) as caught:
        domains.step("row", "handshake")
    assert caught.value.missing == DOMAINS
    assert caught.value.exit_code == 4, "the same command goes on once they have"
    assert "xstat-ray approve" in str(caught.value)


EDITS: dict[str, Edit] = {
    "study.digest": lambda content: content["study"].update(digest="4" * 64),
    "study.bounds.rows": lambda content: content["study"]["bounds"].update(rows=9),
    "domains.row.budget.cap": lambda content: content["domains"]["row"]["budget"].update(cap="99"),
    "domains.column.budget.release.epsilon": lambda content: content["domains"]["column"]["budget"][
        "release"
    ].update(epsilon="1/10"),
    "domains.aggregator.key": lambda content: content["domains"]["aggregator"].update(key="5" * 64),
    "learns.aggregator.ja": lambda content: content["learns"]["aggregator"].update(ja=["なし"]),
    "privacy.padding": lambda content: content["privacy"].update(padding="off"),
    "run": lambda content: content.update(run="another"),
    "version": lambda content: content.update(version=2),
    "more": lambda content: content.update(more="of it"),
}


@pytest.mark.parametrize("place", list(EDITS))
def test_who_edits_the_file_after_the_others_have_signed_is_refused(domains: Domains, place: str):
    """The row party signs what it made of the file: the others begin nothing."""
    sign(domains, agreed(domains), *DOMAINS)
    sign(domains, edited(agreed(domains), EDITS[place]), "row")
    for name in ("column", "aggregator"):
        reason = f"row.json.*another collaboration than this domain's: {place}"
        leaves_nothing(domains, name, MessageError, reason)


@pytest.mark.parametrize("place", list(EDITS))
def test_the_others_signatures_do_not_fit_an_edited_file(domains: Domains, place: str):
    """The exchange belongs to nobody: whoever puts an edited file under a signature is refused."""
    sign(domains, agreed(domains), *DOMAINS)
    path = domains.exchange / RUN / "approvals" / "column.json"
    approval = json.loads(path.read_bytes())
    EDITS[place](approval["collaboration"])
    path.write_bytes(canonical(approval))
    for name in DOMAINS:
        leaves_nothing(domains, name, MessageError, f"column.json.*{place}")


def test_a_domain_that_runs_something_else_than_was_approved_begins_nothing(domains: Domains):
    """The row party's settings are an edited study, for which the others' signatures are none."""
    sign(domains, agreed(domains), *DOMAINS)
    other = study(noise="laplace", privacy={"padding": "dp", "epsilon": 2})
    with pytest.raises(MessageError, match=r"another collaboration.*domains\.column\.budget"):
        domains.step("row", "handshake", study=other)
    assert domains.messages() == []


def forged(domains: Domains, change: Callable[[dict[str, Any]], None]) -> None:
    """Give the column party's approval another signature."""
    sign(domains, agreed(domains), *DOMAINS)
    path = domains.exchange / RUN / "approvals" / "column.json"
    approval = json.loads(path.read_bytes())
    change(approval)
    path.write_bytes(canonical(approval))


def signature_by(identity: Identity, domain: Domain, digest: str) -> str:
    return identity.sign(approvals.signed_text(domain, digest)).hex()


def test_foreign_signatures_are_refused(domains: Domains, tmp_path: Path):
    digest = agreed(domains).digest
    stranger = Identity.create(tmp_path / "stranger.pem")
    column = domains.identities["column"]
    for signature in (
        signature_by(stranger, "column", digest),
        signature_by(domains.identities["row"], "column", digest),
        signature_by(column, "row", digest),
        signature_by(column, "column", agreed(domains, "another").digest),
        column.sign(bytes.fromhex(digest)).hex(),
        "00" * 64,
        "",
        "no hexadecimal",
    ):
        forged(domains, lambda approval, s=signature: approval.update(signature=s))
        leaves_nothing(domains, "row", MessageError, "column.json.*not signed by the key of column")


def test_approvals_of_another_run_are_none(domains: Domains):
    """A replay: the files of an earlier run of the same study, between the same domains."""
    approve_for_all(domains.options.plan(STUDY), "earlier", domains.location, domains.identities)
    (domains.exchange / "earlier").rename(domains.exchange / RUN)
    for name in DOMAINS:
        leaves_nothing(domains, name, MessageError, r"another collaboration than .*: run$")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"collaboration":{}}', b"\xff", b"[" * 100_000, b"null"],
)
def test_what_is_no_approval_is_malformed(domains: Domains, content: bytes):
    sign(domains, agreed(domains), *DOMAINS)
    (domains.exchange / RUN / "approvals" / "aggregator.json").write_bytes(content)
    leaves_nothing(domains, "column", MessageError, "aggregator.json.*malformed")


def test_an_approval_of_one_domain_is_none_of_another(domains: Domains):
    sign(domains, agreed(domains), *DOMAINS)
    folder = domains.exchange / RUN / "approvals"
    (folder / "column.json").write_bytes((folder / "row.json").read_bytes())
    leaves_nothing(domains, "aggregator", MessageError, "column.json.*malformed")


def test_an_approval_is_what_the_page_on_the_format_says(domains: Domains):
    """Read with the page and a library for signatures alone."""
    domains.approve()
    for name in DOMAINS:
        path = domains.exchange / RUN / "approvals" / f"{name}.json"
        approval = json.loads(path.read_bytes())
        text = json.dumps(approval["collaboration"], sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(b"xstat-ray collaboration\0" + text.encode()).digest()
        key = bytes.fromhex(approval["collaboration"]["domains"][name]["key"])
        assert key == keys(domains)[name]
        signed = b"xstat-ray approval\0" + name.encode() + b"\0" + digest
        signature = bytes.fromhex(approval["signature"])
        Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)


def test_a_domain_that_does_not_compare_is_deceived_by_the_edit(
    domains: Domains, monkeypatch: pytest.MonkeyPatch
):
    """The attack of this file succeeds on a leak that is planted for it."""
    sign(domains, agreed(domains), *DOMAINS)
    sign(domains, edited(agreed(domains), EDITS["domains.row.budget.cap"]), "row")
    monkeypatch.setattr(Collaboration, "differing", lambda *_: [])
    monkeypatch.setattr(Peers, "signed", lambda *_: True)
    exchange = Exchange.at(domains.location, RUN)
    assert set(approvals.check_approvals(exchange, agreed(domains), Peers(keys(domains)))) == {
        *DOMAINS
    }


def test_what_was_approved_once_stays_approved(quick_key, domains: Domains):
    """A later step rests on the log: nobody takes back what has begun, nor changes it."""
    sign(domains, agreed(domains), *DOMAINS)
    with pytest.raises(PendingError, match="row-column"):
        domains.step("column", "handshake")
    for path in (domains.exchange / RUN / "approvals").iterdir():
        path.unlink()
    with pytest.raises(PendingError, match="row-column"):
        domains.step("column", "handshake")
    (opened,) = [
        json.loads(line)
        for line in (domains.state("column") / "log.jsonl").read_text().splitlines()
        if json.loads(line)["event"] == "opened"
    ]
    assert opened["facts"]["collaboration"] == agreed(domains).digest
    assert opened["facts"]["approvals"].keys() == {*DOMAINS}
