"""Several row parties, each in its own domain: counts as by SQL, one debit each, checked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.case import Case, study
from tests.federation.domains import RUN, Domains
from tests.federation.test_several_columns import counts, debits, refused_then_finished
from tests.several import keys_at_hand
from tests.several_rows import United, padded, united
from tests.sizes import thorough
from tests.test_crosstab_row_parties import check_figures
from xstat_ray.errors import MessageError, ProtocolError, StudyError
from xstat_ray.federation.config import PartyConfig, party_config, release_config, release_steps
from xstat_ray.federation.mailbox import Mailbox
from xstat_ray.federation.verify import verify
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.opening import joint_session
from xstat_ray.runtime import executor as executor_module

ROWS = [{"name": "north"}, {"name": "so-uth"}]
COLUMNS = [{"name": "jal", "persons": 50}, {"name": "hac", "persons": 50}]
EXACT = study(row={"parties": ROWS})
NOISY = study(noise="laplace", row={"parties": ROWS})
OF_FOUR = study(noise="laplace", bounds=None, row={"parties": ROWS}, column={"parties": COLUMNS})
TABLES: dict[str, dict[str, list[str]]] = {
    "north": {"id": ["1", "2"], "area": ["a", "b"]},
    "so-uth": {"id": ["1", "3"], "area": ["b", "a"]},
    "jal": {"id": ["1", "2"], "kind": ["x", "y"]},
    "hac": {"id": ["1", "3"], "kind": ["y", "x"]},
}
"""Person 1 is in all of them."""


@contextmanager
def seeded(made: United) -> Iterator[None]:
    """Have the parties draw from their seeds, and use keys that are there."""

    def row_party(study: Any, source: Any, *, name: str) -> RowParty:
        return RowParty(study, source, name=name, seed=made.seeds[name])

    def column_party(study: Any, source: Any, *, party: str) -> ColumnParty:
        return ColumnParty(study, source, party=party, seed=made.seeds[party])

    with keys_at_hand(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(executor_module, "RowParty", row_party)
        patch.setattr(executor_module, "ColumnParty", column_party)
        yield


def domains_of(made: United, folder: Path, **options: Any) -> Domains:
    rows, columns = made.write(folder)
    return Domains(folder / "domains", made.study, {**rows, **columns}, **options)


def noisy(folder: Path, agreed: Any = NOISY, **options: Any) -> Domains:
    """Domains of a study with noise, in which one person stands in all tables."""
    case = Case(folder)
    sources = {}
    for terms in agreed.parties:
        role = agreed.role_of(terms.name)
        sources[terms.name] = case.write(role, TABLES.get(terms.name, TABLES["jal"]))
        sources[terms.name] = sources[terms.name].rename(folder / f"{terms.name}.parquet")
    return Domains(folder / "domains", agreed, sources, **options)


def test_somebody_who_is_a_customer_of_both_counts_in_each(tmp_path: Path) -> None:
    domains = noisy(tmp_path, EXACT)
    with keys_at_hand():
        domains.run()
    # 1 is in a and in b, and of kind x; 2 in b, and of kind y.
    assert counts(domains).tolist() == [[1, 0], [1, 1]]
    assert verify(domains.out, {}).wrong == []


@thorough
@pytest.mark.parametrize(("row_parties", "column_parties"), [(2, 1), (2, 2), (3, 2)])
def test_counts_equal_a_query_over_all_tables(
    row_parties: int, column_parties: int, tmp_path: Path
) -> None:
    made = united(row_parties, column_parties)
    domains = domains_of(made, tmp_path)
    with seeded(made):
        domains.run()
    expected = made.expected()
    assert (counts(domains) == expected).all()
    assert expected.sum() > 100


@thorough
def test_sums_and_means_equal_a_query_over_all_tables(tmp_path: Path) -> None:
    made = united(2, 2).with_measures()
    domains = domains_of(made, tmp_path)
    with seeded(made):
        domains.run()
    check_figures(pq.read_table(domains.out / "statistics.parquet"), made)
    assert verify(domains.out, {}).wrong == []


@thorough
def test_counts_are_exact_with_padding(tmp_path: Path) -> None:
    made = padded(2)
    domains = domains_of(made, tmp_path)
    with seeded(made):
        domains.run()
    assert (counts(domains) == made.expected()).all()
    assert verify(domains.out, {}).wrong == []


@thorough
def test_two_environments_of_the_second_row_party_send_shard_by_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = united(2)
    start = executor_module.LocalExecutor.__init__

    def twice(self: Any, study: Any, sources: Any) -> None:
        start(self, study, sources)
        if "south" in sources:
            another = executor_module.RowParty(study, sources["south"], name="south")
            more = [*self.further_rows["south"], executor_module.LocalInstance(another)]
            self.further_rows = {"south": more}

    monkeypatch.setattr(executor_module.LocalExecutor, "__init__", twice)
    domains = domains_of(made, tmp_path, shards=8)
    with seeded(made):
        domains.run()
    assert (counts(domains) == made.expected()).all()


@thorough
@pytest.mark.parametrize("agreed", [NOISY, OF_FOUR])
def test_each_party_debits_once_and_the_release_is_checked(agreed: Any, tmp_path: Path) -> None:
    domains = noisy(tmp_path, agreed)
    with keys_at_hand():
        domains.run()
    assert debits(domains) == dict.fromkeys(domains.names[:-1], 1)
    pins = {name: identity.public for name, identity in domains.identities.items()}
    report = verify(domains.out, pins)
    assert report.wrong == []
    assert not any("taken from the manifest" in line for line in report.not_shown)
    manifest = json.loads((domains.out / "manifest.json").read_text())
    sessions = manifest["sessions"]
    columns = [terms.name for terms in agreed.column_parties]
    assert [*sessions] == ["north", "so-uth"]
    assert all([*of_row] == columns for of_row in sessions.values())
    in_order = [of_row[column] for column in columns for of_row in sessions.values()]
    assert manifest["session"] == joint_session(bytes.fromhex("".join(in_order)))
    assert {path.name for path in (domains.out / "audit").glob("*.jsonl")} == {
        f"{name}.jsonl" for name in domains.names
    }
    # Nobody keeps a secret.
    for name in domains.names:
        left = {path.name for path in domains.state(name).iterdir()}
        assert not left & {"secrets", "links", "consented", "approved", "noise", "receipts"}
    # No two pairs of domains share a folder, whatever the names of parties.
    folders = {path.name for path in (domains.exchange / RUN).iterdir()}
    assert {"north-so.uth", "so.uth-north", f"so.uth-{columns[0]}"} <= folders
    assert "aggregator-so.uth" in folders


@thorough
def test_what_contradicts_the_release_is_found(tmp_path: Path) -> None:
    domains = noisy(tmp_path)
    with keys_at_hand():
        domains.run()
    path = domains.out / "manifest.json"
    manifest = json.loads(path.read_text())
    sessions = manifest["sessions"]

    def wrong(**changes: Any) -> str:
        path.write_text(json.dumps({**manifest, **changes}, indent=2) + "\n")
        return " ".join(verify(domains.out, {}).wrong)

    assert "different handshakes" in wrong(sessions=dict(reversed(sessions.items())))
    other = {**sessions, "so-uth": {"column": "4" * 64}}
    assert "different handshakes" in wrong(sessions=other)
    assert "different handshakes" in wrong(sessions={**sessions, "so-uth": {"column": "no"}})
    assert "different handshakes" in wrong(sessions={**sessions, "so-uth": {}})
    # Who is called another party than it was: a column party, or a row party.
    assert "domains.so-uth.role" in wrong(sessions={"north": sessions["north"]})
    assert "different handshakes" in wrong(sessions={**sessions, "column": sessions["north"]})
    assert "different handshakes" in wrong(sessions=sessions["north"])
    assert "the debit" in wrong(datasets={**manifest["datasets"], "so-uth": "other"})
    assert "so-uth domain" in wrong(
        domains={**manifest["domains"], "so-uth": manifest["domains"]["north"]}
    )
    assert wrong() == ""
    (domains.out / "audit" / "so-uth.jsonl").unlink()
    assert "the log of the so-uth domain is missing" in wrong()


@thorough
def test_what_one_ledger_refuses_is_finished_once_it_has_budget(tmp_path: Path) -> None:
    refused_then_finished(noisy(tmp_path), "so-uth", {"north": 1, "so-uth": 0, "column": 0})


@thorough
@pytest.mark.parametrize("liar", ["north", "so-uth"])
def test_handshakes_of_others_are_not_taken(liar: str, tmp_path: Path) -> None:
    """A row party tells the aggregator of other handshakes than the column party does."""
    domains = noisy(tmp_path)
    with keys_at_hand(), pytest.MonkeyPatch.context() as patch:
        begin = Mailbox.begin_session

        def other(self: Mailbox, session: str, peer: str | None = None) -> None:
            whole = (self.domain, peer) == (liar, "aggregator")
            begin(self, "ab" * 32 if whole else session, peer)

        patch.setattr(Mailbox, "begin_session", other)
        with pytest.raises(MessageError, match="not those of the column parties"):
            domains.run()


ALTERED = {
    "the order of cells": ("north", "so-uth", "order", "sealed|altered"),
    "names of sessions": ("so-uth", "north", "sessions", "sealed|altered"),
    "sessions told the aggregator": ("column", "aggregator", "challenge", "other sessions"),
    "what is approved": ("north", "so-uth", "terms", "sealed|altered"),
    "a consent": ("so-uth", "column", "approval", "sealed|altered"),
    "a debit of the column party": ("column", "so-uth", "debited", "sealed|altered"),
    "a debit of the other row party": ("so-uth", "column", "debited", "sealed|altered"),
    "a key": ("column", "north", "key", "."),
}  # fmt: skip


@thorough
@pytest.mark.parametrize("which", ALTERED)
def test_an_altered_message_ends_the_run(which: str, tmp_path: Path) -> None:
    sender, receiver, kind, reason = ALTERED[which]
    domains = noisy(tmp_path)
    send = Mailbox.send
    altered = []

    def sending(self: Mailbox, to: str, what: str, payload: Any, **place: Any) -> None:
        if (self.domain, to, what) == (sender, receiver, kind) and not self.has_sent(to, what):
            content = bytearray(payload if isinstance(payload, bytes) else payload())
            content[len(content) // 2] ^= 1
            payload = bytes(content)
            altered.append(what)
        send(self, to, what, payload, **place)

    with keys_at_hand(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Mailbox, "send", sending)
        with pytest.raises(ProtocolError, match=reason):
            domains.run()
    assert altered == [kind]
    assert not (domains.out / "audit" / "north.jsonl").exists()


@thorough
def test_flags_for_one_row_party_are_not_taken_for_those_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    domains = noisy(tmp_path)
    honest = ColumnParty.emit
    swapped = {"north": "so-uth", "so-uth": "north"}

    def emit(self: ColumnParty, batch: int, part: int, rows: range, how: Any, row: str) -> Any:
        return honest(self, batch, part, rows, how, swapped[row])

    monkeypatch.setattr(ColumnParty, "emit", emit)
    with keys_at_hand(), pytest.raises(MessageError, match="belongs to another view"):
        domains.run()


@thorough
def test_nothing_is_opened_before_all_row_parties_have_consented(tmp_path: Path) -> None:
    domains = noisy(tmp_path)
    with keys_at_hand():
        done = domains.run(until=("so-uth", "approve"))
    assert ("north", "approve") in done and ("column", "decrypt") not in done
    assert debits(domains) == {"north": 1, "so-uth": 0, "column": 0}
    sent = {path.parent.name for path in domains.messages()}
    assert "column-so.uth" in sent
    kinds = [
        json.loads(line)["facts"]["kind"]
        for line in (domains.state("column") / "log.jsonl").read_text().splitlines()
        if json.loads(line)["event"] == "sent"
    ]
    assert not {"opened", "facts", "debited"} & set(kinds)


KEYS = {name: f"{number:064x}" for number, name in enumerate(("north", "south", "column"), 1)}
RAW: dict[str, Any] = {
    "study": {
        "name": "small",
        "row": {
            "id": "id",
            "dimensions": [{"name": "area", "values": ["a"]}],
            "parties": [{"name": "north"}, {"name": "south"}],
        },
        "column": {"id": "id", "dimensions": [{"name": "kind", "values": ["x"]}]},
    },
    "privacy": {"padding": "off", "noise": "off"},
    "data": {"row": {"path": {"north": "n.csv", "south": "s.csv"}}, "column": {"path": "c.csv"}},
    "out": "out",
    **{"crypto": {"key_bits": 2048}, "replicas": {}, "cluster": {}, "unsafe": {}},
    "domain": {"run": "first", "exchange": "shared", "private": "own"},
}


def settings(party: str | None, step: str) -> dict[str, Any]:
    peers = {**KEYS, "aggregator": "ff" * 32}
    peers.pop(party or "", None)
    return RAW | {"party": party, "step": step, "domain": {**RAW["domain"], "peers": peers}}


def emitting(party: str) -> PartyConfig:
    given = {"show": "software", "expect": "software", "aggregator": {"expect": "software"}}
    return party_config(settings(party, "emit") | {"attestation": given}, "a test")


def test_each_row_party_has_its_own_table_and_steps() -> None:
    paths = {name: emitting(name).source for name in KEYS}
    assert [str(source.table) for source in paths.values()] == ["n.csv", "s.csv", "c.csv"]
    agreed = emitting("north").study
    assert release_steps(agreed, "north") == ("approve", "unblind", "publish")
    assert release_steps(agreed, "south") == ("approve", "check")
    # The only party that has a step need not be named.
    assert release_config(settings(None, "decrypt"), "a test").domain == "column"


def test_the_first_row_party_alone_publishes() -> None:
    assert release_config(settings("north", "all"), "a test").out is not None
    assert release_config(settings("south", "all"), "a test").out is None
    for party, step in (("south", "publish"), ("north", "check"), ("column", "approve")):
        with pytest.raises(StudyError, match=f"step {step} is not {party}'s"):
            release_config(settings(party, step), "a test")
    with pytest.raises(StudyError, match="party"):
        release_config(settings(None, "approve"), "a test")
    with pytest.raises(StudyError, match="party"):
        emitting("row")
