"""Several column parties, each in its own domain: counts as by SQL, one debit each, checked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from tests.case import Case, study
from tests.federation.domains import RUN, Domains
from tests.several import Several, keys_at_hand, several
from tests.sizes import thorough
from tests.test_several_padded import padded
from xstat_ray.errors import BudgetError, MessageError, ProtocolError
from xstat_ray.federation.mailbox import Mailbox
from xstat_ray.federation.verify import verify
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.opening import session_of_all
from xstat_ray.roles.payer import Payer
from xstat_ray.runtime import executor as executor_module

PARTIES = [{"name": "jal", "persons": 50}, {"name": "h-a_c", "persons": 50}]
NOISY = study(noise="laplace", bounds={"rows": 1}, column={"parties": PARTIES})
TABLES = {
    "jal": {"id": ["1", "2"], "kind": ["x", "y"]},
    "h-a_c": {"id": ["1", "3"], "kind": ["y", "x"]},
}


@contextmanager
def seeded(made: Several) -> Iterator[None]:
    """Have the parties draw from their seeds, and use keys that are there."""

    def column_party(study: Any, source: Any, *, party: str) -> ColumnParty:
        return ColumnParty(study, source, party=party, seed=made.seeds[party])

    with keys_at_hand(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(executor_module, "RowParty", partial(RowParty, seed=made.seeds["row"]))
        patch.setattr(executor_module, "ColumnParty", column_party)
        yield


def noisy(folder: Path, **options: Any) -> Domains:
    """Domains of a study with noise, in which one person stands in both tables."""
    case = Case(folder)
    sources = {"row": case.tables["row"]}
    for name, table in TABLES.items():
        sources[name] = case.write("column", table).rename(folder / f"{name}.parquet")
    return Domains(folder / "domains", NOISY, sources, **options)


def counts(domains: Domains) -> NDArray[np.int64]:
    """(cells, slots) published counts."""
    table = pq.read_table(domains.out / "statistics.parquet")["noisy"].to_numpy()
    return table.reshape(domains.study.cells, domains.study.slots)


def debits(domains: Domains) -> dict[str, int]:
    """Releases that each party's ledger has debited."""
    found = {}
    for name, place in domains.ledgers.items():
        entries = Ledger(place).history(f"small/{name}")
        found[name] = sum(entry.kind == "debit" for entry in entries)
    return found


@pytest.mark.parametrize("parties", [2, pytest.param(3, marks=thorough)])
def test_counts_equal_a_query_over_all_tables(parties: int, tmp_path: Path) -> None:
    made = several(parties, 0.5)
    domains = Domains(tmp_path, made.study, made.write(tmp_path))
    with seeded(made):
        domains.run()
    expected = made.expected()
    assert (counts(domains) == expected).all()
    assert expected.sum() > 100


@thorough
def test_counts_are_exact_with_padding(tmp_path: Path) -> None:
    made = padded(2, 0.5)
    privacy = replace(made.study.privacy, cap=Fraction(100))
    made = made._replace(study=replace(made.study, privacy=privacy))
    domains = Domains(tmp_path, made.study, made.write(tmp_path))
    with seeded(made):
        domains.run()
    assert (counts(domains) == made.expected()).all()


@thorough
def test_two_environments_of_the_row_party_send_shard_by_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = several(2, 0.5)
    start = executor_module.LocalExecutor.__init__

    def twice(self: Any, study: Any, sources: Any) -> None:
        start(self, study, sources)
        if "row" in sources:
            another = executor_module.RowParty(study, sources["row"])
            self.row = [*self.row, executor_module.LocalInstance(another)]

    monkeypatch.setattr(executor_module.LocalExecutor, "__init__", twice)
    domains = Domains(tmp_path, made.study, made.write(tmp_path), shards=8)
    with seeded(made):
        domains.run()
    assert (counts(domains) == made.expected()).all()


def test_each_party_debits_once_and_the_release_is_checked(tmp_path: Path) -> None:
    domains = noisy(tmp_path)
    with keys_at_hand():
        domains.run()
    assert debits(domains) == {"row": 1, "jal": 1, "h-a_c": 1}
    pins = {name: identity.public for name, identity in domains.identities.items()}
    report = verify(domains.out, pins)
    assert report.wrong == []
    assert not any("taken from the manifest" in line for line in report.not_shown)
    manifest = json.loads((domains.out / "manifest.json").read_text())
    assert [*manifest["sessions"]] == ["jal", "h-a_c"]
    assert manifest["session"] == session_of_all([*manifest["sessions"].values()])
    assert {path.name for path in (domains.out / "audit").glob("*.jsonl")} == {
        f"{name}.jsonl" for name in domains.names
    }
    # Nobody keeps a secret.
    assert not [path for name in domains.names for path in domains.state(name).rglob("secrets")]
    assert not (domains.state("row") / "links").exists()
    # No two pairs of domains share a folder, whatever the names of parties.
    folders = {path.name for path in (domains.exchange / RUN).iterdir()}
    assert {"jal-h.a_c", "h.a_c-jal", "row-h.a_c", "aggregator-jal"} <= folders


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

    swapped = dict(reversed(sessions.items()))
    assert "different handshakes" in wrong(sessions=swapped)
    assert "different handshakes" in wrong(sessions={**sessions, "jal": "4" * 64})
    assert "the debit" in wrong(datasets={**manifest["datasets"], "h-a_c": "other"})
    told = wrong(domains={**manifest["domains"], "h-a_c": manifest["domains"]["jal"]})
    assert "h-a_c domain" in told
    (domains.out / "audit" / "h-a_c.jsonl").unlink()
    assert "the log of the h-a_c domain is missing" in wrong()


def refused_then_finished(domains: Domains, poor: str, before: dict[str, int]) -> None:
    """Refuse one party's debit, and run again once it has budget.

    Args:
        domains: of a study with noise, not begun.
        poor: the party whose ledger refuses.
        before: what each party has debited then.
    """
    debit = Payer._pay

    def refuse(self: Any, release: str) -> None:
        if poor in (self.party, self.row_party):
            raise BudgetError("the budget is spent")
        debit(self, release)

    with keys_at_hand():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Payer, "_pay", refuse)
            with pytest.raises(BudgetError):
                domains.run()
        assert debits(domains) == before
        messages = domains.contents()
        domains.steps = [
            step for step in domains.steps if step[1] not in ("handshake", "exchange", "emit")
        ]
        domains.run()
    assert debits(domains) == dict.fromkeys(before, 1)
    assert domains.contents().items() >= messages.items()


@thorough
def test_what_one_ledger_refuses_is_finished_once_it_has_budget(tmp_path: Path) -> None:
    refused_then_finished(noisy(tmp_path), "h-a_c", {"row": 1, "jal": 1, "h-a_c": 0})


def test_handshakes_of_others_are_not_taken(tmp_path: Path) -> None:
    """The row party tells the aggregator of other handshakes than the column parties do."""
    domains = noisy(tmp_path)
    with keys_at_hand(), pytest.MonkeyPatch.context() as patch:
        begin = Mailbox.begin_session

        def other(self: Mailbox, session: str, peer: str | None = None) -> None:
            whole = (self.domain, peer) == ("row", "aggregator")
            begin(self, "ab" * 32 if whole else session, peer)

        patch.setattr(Mailbox, "begin_session", other)
        with pytest.raises(MessageError, match="not those of the column parties"):
            domains.run()


@pytest.mark.parametrize(
    ("sender", "kind", "reason"),
    [("h-a_c", "residues", "sealed|altered"), ("h-a_c", "debited", "sealed|altered"),
     ("jal", "sums", "sealed|altered"), ("row", "masks", "does not have the row party.s masks")],
)  # fmt: skip
@thorough
def test_an_altered_message_ends_the_run(
    sender: str, kind: str, reason: str, tmp_path: Path
) -> None:
    domains = noisy(tmp_path)
    send = Mailbox.send

    def sending(self: Mailbox, receiver: str, what: str, payload: Any, **place: Any) -> None:
        if (self.domain, what) == (sender, kind):
            content = bytearray(payload if isinstance(payload, bytes) else payload())
            content[len(content) // 2] ^= 1
            payload = bytes(content)
        send(self, receiver, what, payload, **place)

    with keys_at_hand(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Mailbox, "send", sending)
        with pytest.raises(ProtocolError, match=reason):
            domains.run()
    assert not (domains.out / "audit" / "row.jsonl").exists()
