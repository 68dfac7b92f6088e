"""A release is checked from its files and logs.

Whatever is altered, forged or left out is found.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs import verify as job
from tests.case import Case, study
from tests.federation.domains import Domains
from xstat_ray import InputError
from xstat_ray.errors import ProtocolError
from xstat_ray.federation.audit import Log
from xstat_ray.federation.envelope import canonical
from xstat_ray.federation.identity import DOMAINS, Domain, Identity
from xstat_ray.federation.verify import verify
from xstat_ray.federation.verify_attestation import Pinned
from xstat_ray.util.software_digest import software_digest

Line = tuple[str, dict[str, Any]]
"""Event and facts."""
CHECKED = ("statistics.parquet", "areas.parquet")
Change = Callable[[list[Line]], list[Line]]


@pytest.fixture
def release(finished: Domains, tmp_path: Path) -> Path:
    """A copy of a release, to be tampered with."""
    return shutil.copytree(finished.out, tmp_path / "out")


def pins(finished: Domains) -> dict[Domain, bytes]:
    return {name: identity.public for name, identity in finished.identities.items()}


def rewritten(
    finished: Domains,
    release: Path,
    domain: Domain,
    change: Change,
    identity: Identity | None = None,
) -> None:
    """Write a log anew with other lines, as the domain itself could sign it."""
    path = release / "audit" / f"{domain}.jsonl"
    events = [
        (raw["event"], raw["facts"]) for raw in map(json.loads, path.read_text().splitlines())
    ]
    path.unlink()
    log = Log(path, domain, identity or finished.identities[domain])
    for event, facts in change(events):
        log.add(event, **facts)
    log.close()


def test_a_good_release(finished, release):
    report = verify(release, pins(finished))
    assert report.wrong == []
    assert len(report.shown) == 19 and all(line.endswith(".") for line in report.shown)
    measurement = software_digest().hex()
    for party in ("row", "column"):
        verified = f"The {party} party verified the aggregator by software evidence"
        assert f"{verified}: measurement {measurement}." in report.shown
    text = " ".join(report.not_shown)
    assert text.count("statement, not hardware") == 2 and not any(
        part in text for part in ("padding", "from the manifest")
    )
    assert "keys of row, column, aggregator were taken from the manifest" in " ".join(
        verify(release, {}).not_shown
    )


def test_rewriting_a_log_as_it_is_does_no_harm(finished, release):
    for domain in DOMAINS:
        rewritten(finished, release, domain, lambda events: events)
    assert verify(release, pins(finished)).wrong == []


@pytest.mark.parametrize(
    "name", ["statistics.parquet", "statistics.csv", "areas.parquet", "plan.json"]
)
def test_an_altered_file_is_found(finished, release, name):
    content = bytearray((release / name).read_bytes())
    content[len(content) // 2] ^= 1
    (release / name).write_bytes(content)
    wrong = [f"{name} is not the file that was published"]
    if name != "plan.json":
        wrong.insert(0, f"{name} is not the file that the key holder checked")
    assert verify(release, pins(finished)).wrong[: len(wrong)] == wrong
    (release / name).unlink()
    # Beside that the files do not agree with each other.
    found = verify(release, pins(finished)).wrong
    assert found[: len(wrong)] == wrong and len(found) == len(wrong) + 1


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("release", "00" * 16, "does not show one table"),
        ("spent", {"epsilon": "1/2", "delta": "0"}, "does not show the debit"),
        ("insiders", {"row": {"epsilon": "1/9", "delta": "0"}}, "insiders learn than the plan"),
        ("session", "4" * 64, "different handshakes"),
        ("run", "other", "another study, plan, run"),
        ("study_digest", "4" * 64, "another study, plan, run"),
        ("noise_free", True, "debited a release without noise"),
        ("datasets", {"row": "x", "column": "y"}, "does not show the debit"),
    ],
)
def test_an_altered_manifest_is_found(finished, release, key, value, reason):
    manifest = json.loads((release / "manifest.json").read_text()) | {key: value}
    (release / "manifest.json").write_text(json.dumps(manifest))
    wrong = verify(release, pins(finished)).wrong
    assert "manifest.json is not the file that was published" in wrong or key == "release"
    assert any(reason in line for line in wrong)


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_missing_altered_or_foreign_log_is_found(finished, release, domain, tmp_path):
    path = release / "audit" / f"{domain}.jsonl"
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"event":"finished"', b'"event":"refused" '))
    assert any(f"log of the {domain} domain" in line for line in verify(release, {}).wrong)
    path.write_bytes(b"".join(content.splitlines(keepends=True)[:-1]))
    assert any(f"the {domain} domain did not finish" in line for line in verify(release, {}).wrong)
    path.unlink()
    assert verify(release, {}).wrong == [f"the log of the {domain} domain is missing"]
    path.write_bytes(content)
    rewritten(
        finished, release, domain, lambda events: events, Identity.create(tmp_path / "other.pem")
    )
    assert any("not signed by that domain's key" in line for line in verify(release, {}).wrong)


def approved(release: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Alter what all domains have approved."""
    path = release / "audit" / "collaboration.json"
    content = json.loads(path.read_bytes())
    change(content)
    path.write_bytes(canonical(content))


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda content: content.update(run="other"), "run"),
        (lambda content: content["study"].update(digest="4" * 64), "study.digest"),
        (lambda content: content["privacy"].update(padding="off"), "privacy.padding"),
        (lambda content: content["domains"]["row"].update(key="4" * 64), "domains.row.key"),
        (
            lambda content: content["domains"]["column"]["budget"]["release"].update(epsilon="0"),
            "domains.column.budget.release",
        ),
        (lambda content: content["domains"]["row"].update(dataset="x"), "domains.row.dataset"),
        (lambda content: content["learns"]["row"].update(en=["nothing"]), None),
        (lambda content: content["domains"]["row"]["budget"].update(cap="99"), None),
        (lambda content: content.update(domains=1), "domains.row.key"),
    ],
)
def test_another_collaboration_than_was_approved_is_found(finished, release, change, place):
    approved(release, change)
    wrong = verify(release, pins(finished)).wrong
    for domain in DOMAINS:
        log = f"the {domain} domain's log is of another collaboration than collaboration.json"
        assert log in wrong
    told = f"what the domains approved differs from the manifest in {place}"
    assert place is None or told in wrong


@pytest.mark.parametrize("content", [None, b"{", b"[]", b'{"run": 1}'])
def test_a_missing_or_malformed_collaboration_is_found(finished, release, content):
    path = release / "audit" / "collaboration.json"
    path.unlink() if content is None else path.write_bytes(content)
    missing = "collaboration.json, which all domains approved, is missing or malformed"
    assert verify(release, pins(finished)).wrong == [missing]


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_domain_that_began_without_an_approval_is_found(finished, release, domain):
    signatures = next(
        json.loads(line)["facts"]["approvals"]
        for line in (release / "audit" / f"{domain}.jsonl").read_text().splitlines()
    )
    of_row = {**signatures, "column": signatures["row"]}
    for given in ({**signatures, "column": ""}, {**signatures, "column": "00" * 64}, of_row):
        rewritten(finished, release, domain, changed("opened", approvals=given))
        reason = f"the {domain} domain began without the approval of column"
        assert verify(release, pins(finished)).wrong == [reason]
    for given in ({}, None, "all of them"):
        rewritten(finished, release, domain, changed("opened", approvals=given))
        assert len(verify(release, pins(finished)).wrong) == 3


def without(*events: str) -> Change:
    return lambda lines: [line for line in lines if line[0] not in events]


def changed(event: str, **facts: object) -> Change:
    return lambda lines: [(name, old | facts if name == event else old) for name, old in lines]


def without_the(event: str, **facts: object) -> Change:
    return lambda lines: [line for line in lines if not is_the(line, event, facts)]


def twice_the(event: str, **facts: object) -> Change:
    return lambda lines: [
        line for line in lines for _ in range(2 if is_the(line, event, facts) else 1)
    ]


def changed_the(event: str, known: dict[str, object], **facts: object) -> Change:
    return lambda lines: [
        (line[0], line[1] | facts) if is_the(line, event, known) else line for line in lines
    ]


def is_the(line: Line, event: str, facts: dict[str, object]) -> bool:
    return line[0] == event and facts.items() <= line[1].items()


def moved_to_the_end(event: str, **facts: object) -> Change:
    def change(lines: list[Line]) -> list[Line]:
        chosen = [line for line in lines if is_the(line, event, facts)]
        return [line for line in lines if line not in chosen] + chosen

    return change


def twice(event: str) -> Change:
    return lambda lines: [line for line in lines for _ in range(2 if line[0] == event else 1)]


@pytest.mark.parametrize(
    ("domain", "change", "reason"),
    [
        ("column", without("debited"), "does not show the debit"),
        ("column", changed("debited", epsilon="1/10"), "does not show the debit"),
        ("column", twice("debited"), "does not show the debit"),
        ("column", moved_to_the_end("debited"), "column party sent opened before the debit"),
        ("row", moved_to_the_end("debited"), "row party sent approval before the debit"),
        ("row", without("debited"), "row party's log does not show the debit"),
        (
            "row",
            without("shown"),
            "row domain's log does not show what the manifest tells of the aggregator's view",
        ),
        (
            "column",
            changed("shown", epsilon="1/10"),
            "column domain's log does not show what the manifest tells",
        ),
        (
            "column",
            moved_to_the_end("shown"),
            "column domain's flags were handed out before it counted",
        ),
        ("aggregator", twice("noise"), "aggregator domain's log does not show one table (noise)"),
        ("aggregator", moved_to_the_end("noise"), "sent masked before its log names the table"),
        ("row", without("approved"), "row domain's log does not show one table (approved)"),
        ("row", moved_to_the_end("approved"), "sent approval before its log names the table"),
        ("row", changed("approved", digest="4" * 64), "logs name different tables"),
        ("column", changed("admitted", digest="x"), "logs name different tables"),
        ("column", twice("admitted"), "column domain's log does not show one table (admitted)"),
        (
            "column",
            moved_to_the_end("received", kind="approval"),
            "opened the table before the row party approved it",
        ),
        ("column", without("checked"), "does not show that it checked what was published"),
        ("column", changed("checked", files={}), "does not show that it checked"),
        (
            "column",
            changed("checked", files=dict.fromkeys(CHECKED, "4" * 64)),
            "statistics.parquet is not the file that the key holder checked",
        ),
        ("row", without("attested"), "row domain did not verify the other party first"),
        (
            "column",
            moved_to_the_end("attested"),
            "column domain did not verify the other party first",
        ),
        ("row", changed("attested", measurement="4" * 64), "row domain did not verify"),
        *(
            (domain, change, f"the {domain} domain did not verify {what}")
            for domain in ("row", "column")
            for change, what in (
                (
                    without_the("attested", peer="aggregator"),
                    "the software that the aggregator ran",
                ),
                (twice_the("attested", peer="aggregator"), "the software that the aggregator ran"),
                (
                    changed_the("attested", {"peer": "aggregator"}, measurement="4" * 64),
                    "the software that the aggregator ran",
                ),
                (moved_to_the_end("attested", peer="aggregator"), "the aggregator first"),
            )
        ),
        *(
            (
                "aggregator",
                changed("opened", software=software),
                "row domain did not verify the software that the aggregator ran",
            )
            for software in (None, [], {}, {"measurement": None}, {"measurement": "4" * 64})
        ),
        ("row", changed("received", message="4" * 64), "is not in both logs"),
        ("aggregator", without("received"), "is not in both logs"),
        ("row", without("published"), "does not show that it published"),
        ("row", changed("published", files={}), "is not the file that was published"),
        ("row", changed("session", session="4" * 64), "different handshakes"),
        ("column", changed("opened", plan="4" * 64), "another study, plan, run"),
    ],
)
def test_a_log_that_its_own_domain_forged_is_found(finished, release, domain, change, reason):
    """A domain may sign what it likes; the logs must still agree with one another."""
    rewritten(finished, release, domain, change)
    assert any(reason in line for line in verify(release, pins(finished)).wrong)


def in_enclave(registers: dict[str, str]) -> Change:
    """As if the aggregator had shown a document of an enclave with these registers."""
    return changed_the("attested", {"peer": "aggregator"}, provider="nitro", pcrs=registers)


REGISTERS = {"0": "ab" * 48, "8": "cd" * 48}


def test_on_what_the_aggregator_was_believed(finished, release):
    for party in ("row", "column"):
        rewritten(finished, release, party, in_enclave(REGISTERS))
    pinned = Pinned("nitro", software_digest(), {0: b"\xab" * 48, 8: b"\xcd" * 48})
    report = verify(release, pins(finished), pinned)
    assert report.wrong == []
    told = f"measurement {software_digest().hex()}, PCR0 {'ab' * 48}, PCR8 {'cd' * 48}."
    for party in ("row", "column"):
        assert (
            f"The {party} party verified the aggregator by nitro evidence: {told}" in report.shown
        )
    text = " ".join(report.not_shown)
    assert "it rests on the maker of the hardware" in text
    assert "the software that you know" not in text
    # The parties verified each other by statements alone.
    assert text.count("statement, not hardware") == 1
    assert "the software that you know" in " ".join(verify(release, pins(finished)).not_shown)


def test_one_statement_is_as_weak_as_two(finished, release):
    rewritten(finished, release, "row", in_enclave(REGISTERS))
    text = " ".join(verify(release, pins(finished)).not_shown)
    assert "its evidence was a statement, not hardware" in text


@pytest.mark.parametrize(
    ("pinned", "problem"),
    [
        (Pinned(expect="nitro"), "the {} party did not verify the aggregator by nitro evidence"),
        (
            Pinned(measurement=bytes(32)),
            "the {} party verified another measurement of the aggregator than yours",
        ),
        (
            Pinned(pcrs={0: bytes(48)}),
            "the {} party did not verify that the aggregator has your PCR0",
        ),
    ],
)
def test_an_aggregator_that_one_knows_better(finished, release, pinned, problem):
    wrong = [problem.format(party) for party in ("row", "column")]
    assert verify(release, pins(finished), pinned).wrong == wrong
    # Nor is it enough that one party verified what one knows.
    facts = {
        "provider": pinned.expect or "software",
        "measurement": (pinned.measurement or software_digest()).hex(),
        "pcrs": {str(index): value.hex() for index, value in pinned.pcrs.items()},
    }
    rewritten(finished, release, "row", changed_the("attested", {"peer": "aggregator"}, **facts))
    assert wrong[1] in verify(release, pins(finished), pinned).wrong
    assert wrong[0] not in verify(release, pins(finished), pinned).wrong


@pytest.mark.parametrize("facts", [None, [], "0", {"0": None}, {"1": "00" * 48}])
def test_registers_that_are_none_are_not_those_that_one_knows(finished, release, facts):
    change = changed_the("attested", {"peer": "aggregator"}, provider="nitro", pcrs=facts)
    rewritten(finished, release, "row", change)
    wrong = verify(release, pins(finished), Pinned(pcrs={0: bytes(48)})).wrong
    assert "the row party did not verify that the aggregator has your PCR0" in wrong


def test_a_key_that_one_knows_better(finished, release, tmp_path):
    other = Identity.create(tmp_path / "other.pem").public
    wrong = verify(release, {"row": other}).wrong
    assert "the manifest names another key of the row domain than you do" in wrong


def test_without_noise_it_says_so(tmp_path, quick_key):
    domains = Domains(tmp_path, study(), Case(tmp_path).tables)
    domains.run()
    report = verify(domains.out, pins(domains))
    assert report.wrong == [] and "NOISE WAS OFF" in report.not_shown[0]
    assert "padding was off" in report.not_shown[1]


def test_the_job(finished, release, capsys):
    settings = {name: key.hex() for name, key in pins(finished).items()}
    settings["release"] = str(release)
    job.main(settings, "the command line")
    printed = capsys.readouterr().out
    assert "Shown:" in printed and "Not shown:" in printed and "WRONG" not in printed
    (release / "statistics.csv").write_text("")
    with pytest.raises(ProtocolError, match="not what it says"):
        job.main(settings, "the command line")
    assert "\n- statistics.csv is not the file that was published" in capsys.readouterr().out
    pinned = {"expect": "nitro", "measurement": "12" * 32, "pcrs": {0: "ab" * 48}}
    with pytest.raises(ProtocolError, match="not what it says"):
        job.main(settings | {"attestation": {"aggregator": pinned}}, "the command line")
    printed = capsys.readouterr().out
    for part in ("by nitro evidence", "another measurement", "has your PCR0"):
        assert printed.count(part) == 2
    with pytest.raises(InputError, match=r"another length.*attestation\.aggregator\.pcrs\.0"):
        job.main(
            settings | {"attestation": {"aggregator": {"pcrs": {0: "ab"}}}}, "the command line"
        )
    for name, key, problem in (
        ("row", "12", "row is not a public key .*Write 64 hexadecimal digits"),
        ("column", "xy" * 32, "column is not a public key"),
        ("someone", "ab" * 32, "unknown key"),
    ):
        with pytest.raises(InputError, match=problem):
            job.main({"release": str(release), name: key}, "the command line")
