"""Three domains, step by step: equal to the local run, resumable, without secrets at the end."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import stat
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.case import COUNTS, Case, counts, study
from tests.federation.domains import RUN, STEPS, Domains
from tests.sizes import first, slow, thorough
from xstat_ray import InputError, Release
from xstat_ray.errors import BudgetError, MessageError, PendingError, PlanError
from xstat_ray.federation.envelope import open_message
from xstat_ray.federation.identity import DOMAINS, Peers
from xstat_ray.federation.outbox import Outbox
from xstat_ray.federation.party import FACTS
from xstat_ray.federation.party import STEPS as PARTY_STEPS
from xstat_ray.noise.plan import spent_delta
from xstat_ray.privacy.design import Design
from xstat_ray.privacy.ledger import Ledger

NOISY = study(noise="laplace", privacy={"mechanism": "tree"})
SEND = Outbox.send
PRIVATE = {"secrets", "approved", "admitted", "noise"}
CHALLENGE = "000000.msg"
"""The first message of a party to the aggregator, which tells nothing of its table."""
pytestmark = pytest.mark.usefixtures("quick_key")


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def published(domains: Domains) -> pa.Table:
    return pq.read_table(domains.out / "statistics.parquet")


def result(domains: Domains) -> dict[tuple[str, str], int]:
    return counts(Release(published(domains), pq.read_table(domains.out / "areas.parquet"), {}, {}))


def test_the_counts_are_those_of_the_join_in_the_clear(case, tmp_path):
    domains = Domains(tmp_path, study(), case.tables)
    assert sorted(domains.run()) == sorted(STEPS)
    assert result(domains) == COUNTS
    local = case.run(study(), tmp_path / "local")
    assert published(domains).equals(local.statistics)
    assert pq.read_table(domains.out / "areas.parquet").equals(local.areas)


@slow
def test_real_tables_are_counted_exactly(nycflights, nycflights_expected, tmp_path):
    sources = {"row": nycflights.row, "column": nycflights.column}
    domains = Domains(tmp_path, nycflights.study, sources, shards=6)
    domains.run()
    assert (published(domains)["noisy"].to_numpy() == nycflights_expected.ravel()).all()


def test_dummies_change_no_count_and_are_drawn_once(case, tmp_path):
    domains = Domains(tmp_path, study(privacy={"padding": "dp"}), case.tables)
    domains.run(until=("row", "emit"))
    assert not (domains.state("row") / "dummies").exists()
    domains.run()
    assert result(domains) == COUNTS
    for party in ("row", "column"):
        assert stat.S_IMODE((domains.state(party) / "dummies").stat().st_mode) == 0o600
    assert json.loads((domains.out / "manifest.json").read_text())["view"]["shown"] == 1


def _set_caps(ledgers, end, cap):
    for party, ledger in ledgers.items():
        Ledger(ledger).set_cap(f"small/{party}{end}", Fraction(cap))


@thorough
def test_each_party_counts_once_a_run_what_the_pool_learns(case, tmp_path):
    padded = study(privacy={"padding": "dp", "cap": 2})
    ledgers = {party: tmp_path / f"{party}.sqlite" for party in ("row", "column")}
    for number, spent in enumerate((1, 2), start=1):
        domains = Domains(tmp_path / f"run {number}", padded, case.tables, ledgers)
        domains.run(until=("column", "emit"))
        for party in ("row", "column"):
            # As if they had been killed at their very ends.
            domains.step(party, "emit")
            (domains.state(party) / "facts.json").unlink()
            domains.step(party, "emit")
        for party, ledger in ledgers.items():
            accounts = [(account.dataset, account.spent) for account in Ledger(ledger).show()]
            assert accounts == [(f"small/{party}@pool", spent)]
    third = Domains(tmp_path / "run 3", padded, case.tables, ledgers)
    with pytest.raises(BudgetError, match="Nothing was handed to the pool"):
        third.run()
    assert not third.messages()
    _set_caps(ledgers, "@pool", 3)
    third.run(until=("row", "exchange"))
    _set_caps(ledgers, "@pool", 2)
    with pytest.raises(BudgetError, match="Nothing was handed to the pool"):
        third.run()
    assert {path.name for path in (third.exchange / RUN).glob("*-aggregator/*")} == {CHALLENGE}
    logs = [(third.state(party) / "log.jsonl").read_text() for party in ("row", "column")]
    assert any('"reason":"the pool has learnt as much as it may"' in log for log in logs)
    assert not any('"event":"shown"' in log for log in logs)


@pytest.mark.parametrize("mechanism", first(1, ["tree", "flat"]))
def test_noise_debit_and_manifest(case, tmp_path, mechanism):
    noisy = study(noise="laplace", privacy={"mechanism": mechanism, "smooth": True})
    domains = Domains(tmp_path, noisy, case.tables)
    domains.run()
    assert "smoothed" in pq.read_schema(domains.out / "statistics.parquet").names
    spent = spent_delta(Design.of_study(noisy), noisy.slots)
    assert 0 < spent < Fraction(1, 10**12)
    manifest = json.loads((domains.out / "manifest.json").read_text())
    assert (
        manifest["spent"] == {"epsilon": "1", "delta": str(spent)}
        and manifest["deployment"] == "federated"
    )
    assert manifest["domains"] == {
        name: identity.public.hex() for name, identity in domains.identities.items()
    }
    assert domains.spent() == {"row": 1, "column": 1}
    debits = [
        entry
        for path in domains.ledgers.values()
        for entry in Ledger(path).history()
        if entry.kind == "debit"
    ]
    assert [(debit.dataset, debit.release, debit.delta) for debit in debits] == [
        (f"small/{party}", manifest["release"], spent) for party in ("row", "column")
    ]


@pytest.mark.parametrize("padding", first(1, ["dp", "off"]))
def test_with_padding_no_message_tells_of_the_row_tree(case, tmp_path, padding):
    asked = study(noise="laplace", privacy={"mechanism": "tree", "padding": padding})
    domains = Domains(tmp_path, asked, case.tables)
    domains.run()
    peers = Peers({name: identity.public for name, identity in domains.identities.items()})
    kinds = [
        open_message(path.read_bytes(), "/".join(path.parts[-2:]), peers).header.kind
        for path in domains.messages()
    ]
    assert kinds.count("tree") == (0 if padding == "dp" else 1) and "rows" in kinds


@thorough
def test_every_step_again_changes_nothing(case, tmp_path):
    domains = Domains(tmp_path, NOISY, case.tables)
    domains.run()
    before = {path: path.read_bytes() for path in domains.messages()}
    files = {path.name: path.read_bytes() for path in domains.out.rglob("*") if path.is_file()}
    for step in STEPS:
        domains.step(*step)
    assert {path: path.read_bytes() for path in domains.messages()} == before
    assert {
        path.name: path.read_bytes() for path in domains.out.rglob("*") if path.is_file()
    } == files
    assert domains.spent() == {"row": 1, "column": 1}


def test_every_step_twice_on_the_way_changes_nothing(case, tmp_path):
    class Twice(Domains):
        def step(self, *step, **changes):
            super().step(*step, **changes)
            super().step(*step, **changes)

    domains = Twice(tmp_path, study(), case.tables)
    domains.run()
    assert result(domains) == COUNTS


@pytest.mark.parametrize("out", [1, 2])
def test_rows_that_left_before_a_step_was_cut_off_are_accounted_for(
    case, tmp_path, monkeypatch, out
):
    """The table has a file a day, so that a batch is read alone, and bad values in both."""
    folder = tmp_path / "rows"
    folder.mkdir()
    for day in (1, 2):
        at = [dt.datetime(2024, 5, day, hour) for hour in (1, 2, 3)]
        ids = [f"{day}{place}" for place in range(3)]
        table = pa.table({"id": ids, "at": at, "area": ["a", "b", "nowhere"]})
        pq.write_table(table, folder / f"{day}.parquet")
    boarded = [dt.datetime(2024, 5, day, 1) for day in (1, 2)]
    case.write("column", {"id": ["10", "20"], "at": boarded, "kind": ["x", "y"]})
    timed = study(
        period={"grain": "hour", "start": "2024-05-01", "end": "2024-05-03"},
        row={"time": "at"},
        column={"windows": [{"anchor": "at", "name": "now", "unit": "hour", "from": 0, "to": 0}]},
    )
    tables = case.tables | {"row": folder}
    domains = Domains(tmp_path / "domains", timed, tables, shards=2, batch="day")
    domains.run(until=("row", "emit"))
    sent = []

    def send(self, receiver, kind, message, part=0, parts=1):
        if kind == "rows" and len(sent) == out:
            raise KeyboardInterrupt
        SEND(self, receiver, kind, message, part, parts)
        sent.extend([part] if kind == "rows" else [])

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Outbox, "send", send)
        domains.step("row", "emit")
        raise KeyboardInterrupt
    (domains.state("row") / FACTS).unlink(missing_ok=True)
    domains.step("row", "emit")
    record = json.loads((domains.state("row") / "intake.json").read_text())
    assert len(sent) == out
    assert (record["rows"], record["kept"], record["outside_domain"]) == (6, 4, 2)
    assert record["outside_span"] == 0
    assert [form["rows"] for form in record["forms"]["outside_domain"]] == [2]


def test_secrets_are_private_meanwhile_and_gone_afterwards(case, tmp_path):
    domains = Domains(tmp_path, NOISY, case.tables)
    domains.run(until=("row", "unblind"))
    for party in ("row", "column"):
        private = [path for path in domains.state(party).rglob("*") if path.name in PRIVATE]
        private += (domains.state(party) / "receipts").glob("*")
        assert len(private) > 1
        assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
        assert stat.S_IMODE(domains.state(party).stat().st_mode) == 0o700
        assert not (domains.state(party) / "handshake").exists()
    domains.run()
    left = {name: {path.name for path in domains.state(name).iterdir()} for name in DOMAINS}
    alike = {"log.jsonl", "events.jsonl", "collaboration.json"}
    assert left["row"] == left["column"] == {*alike, "input", "intake.json", "facts.json"}
    assert left["aggregator"] == alike


def test_every_domain_writes_its_stages_and_no_other_sees_them(case, tmp_path):
    domains = Domains(tmp_path, study(), case.tables)
    domains.run()
    stages = {
        "row": {*PARTY_STEPS, "approve", "unblind", "publish"},
        "column": {*PARTY_STEPS, "decrypt", "check"},
        "aggregator": {"aggregate"},
    }
    for domain in DOMAINS:
        events = [
            json.loads(line)
            for line in (domains.state(domain) / "events.jsonl").read_text().splitlines()
        ]
        assert stages[domain] <= {event["stage"] for event in events if event["event"] == "end"}
        assert {key for event in events for key in event} <= {
            "time",
            "event",
            "stage",
            "seconds",
            "error",
        }
    assert not [
        path
        for path in (*domains.out.rglob("*"), *domains.exchange.rglob("*"))
        if path.name == "events.jsonl"
    ]


def test_steps_out_of_turn(case, tmp_path):
    domains = Domains(tmp_path, study(), case.tables)
    for step in (("row", "exchange"), ("column", "exchange"), ("row", "emit")):
        with pytest.raises(InputError, match="handshake is not over"):
            domains.step(*step)
    for step in (("aggregator", "all"), ("row", "handshake")):
        with pytest.raises(PendingError, match="has not come yet"):
            domains.step(*step)
    with pytest.raises(InputError, match=r"Run xstat-ray deidentify first"):
        domains.step("column", "decrypt")
    with pytest.raises(InputError, match="no table was approved yet"):
        domains.step("row", "unblind")
    with pytest.raises(InputError, match="no coefficients yet"):
        domains.step("row", "publish")


def test_a_table_that_changed_on_the_way_is_refused(case, tmp_path):
    domains = Domains(tmp_path, study(), case.tables)
    domains.run(until=("row", "emit"))
    case.write("row", {"id": ["1", "2", "3", "5"], "area": ["a", "b", "a", "b"]})
    with pytest.raises(InputError, match="file has changed since the run began.*rows.parquet"):
        domains.step("row", "emit")


def test_a_run_of_another_study_or_plan_in_the_private_folder(case, tmp_path):
    domains = Domains(tmp_path, study(), case.tables)
    domains.run(until=("row", "exchange"))
    for other in (
        Domains(tmp_path, NOISY, case.tables),
        Domains(tmp_path, study(), case.tables, shards=1, key_bits=3072),
    ):
        with pytest.raises(InputError, match="another study or plan"):
            other.step("row", "exchange")


def test_domains_with_different_plans_do_not_begin(case, tmp_path):
    domains = Domains(tmp_path, study(), case.tables)
    with pytest.raises(PendingError):
        domains.step("row", "handshake")
    domains.options = Domains(tmp_path, study(), case.tables, key_bits=3072).options
    with pytest.raises(MessageError, match=r"another collaboration than this domain's: plan$"):
        domains.step("column", "handshake")
    domains.approve()
    with pytest.raises(Exception, match="belongs to another plan"):
        domains.step("column", "handshake")


@pytest.mark.parametrize(("party", "step"), first(1, [("row", "approve"), ("column", "decrypt")]))
def test_a_budget_that_is_spent(case, tmp_path, party, step):
    poor = study(noise="laplace", privacy={"cap": 1})
    domains = Domains(tmp_path, poor, case.tables)
    domains.run()
    again = Domains(tmp_path / "again", poor, case.tables, ledgers=domains.ledgers)
    with pytest.raises(BudgetError, match=r"small/row.*Nothing was decrypted"):
        again.step("row", "handshake")
    assert not again.messages()
    _set_caps(domains.ledgers, "", 2)
    again.run(until=(party, step))
    _set_caps({party: domains.ledgers[party]}, "", 1)
    before = again.messages()
    with pytest.raises(BudgetError, match=f"small/{party}.*Nothing was decrypted"):
        again.step(party, step)
    assert again.messages() == before and not again.out.exists()
    log = (again.state(party) / "log.jsonl").read_text()
    assert '"reason":"the budget is spent"' in log and '"event":"debited"' not in log


def test_noise_off_only_on_demand(case, tmp_path):
    domains = Domains(tmp_path, study(), case.tables, allow_no_noise=False)
    with pytest.raises(PlanError, match="publishes exact counts"):
        domains.step("row", "handshake")


def test_an_output_folder_with_another_release(case, tmp_path):
    domains = Domains(tmp_path, NOISY, case.tables)
    case.run(NOISY, domains.out)
    domains.run(until=("row", "publish"))
    with pytest.raises(InputError, match="holds another release"):
        domains.step("row", "publish")
    shutil.rmtree(domains.out)
    domains.run()
    assert (domains.state("row") / "log.jsonl").read_text().count('"event":"published"') == 1


@pytest.mark.parametrize("domain", first(1, list(DOMAINS)))
def test_a_name_is_used_once(case, tmp_path, domain):
    """The private folder is lost."""
    domains = Domains(tmp_path, study(), case.tables)
    domains.run()
    shutil.rmtree(domains.state(domain))
    with pytest.raises(InputError, match="Agree on another name for this run"):
        domains.step(domain, next(step for name, step in STEPS if name == domain))


def test_one_process_at_a_time(case, tmp_path):
    from xstat_ray.federation.domain_run import DomainRun

    domains = Domains(tmp_path, study(), case.tables)
    domains.approve()
    config = domains.config("row", "handshake")
    with (
        DomainRun("row", config.settings, config.plan()),
        pytest.raises(InputError, match="another step is at work"),
    ):
        domains.step("row", "handshake")
    assert domains.state("row").name == RUN


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_peers_key_is_not_this_domains_own(case, tmp_path, domain):
    domains = Domains(tmp_path, study(), case.tables)
    settings = domains.settings(domain)
    step = next(step for name, step in STEPS if name == domain)
    own = domains.identities[domain].public
    first_peer, second_peer = settings.peers
    for peers, key, whose in (
        ({**settings.peers, first_peer: own}, first_peer, "this domain's own key"),
        (
            {**settings.peers, second_peer: settings.peers[first_peer]},
            second_peer,
            f"the key of {first_peer} too",
        ),
    ):
        wrong = replace(settings, peers=peers)
        with pytest.raises(InputError, match=f"the key of {key} is {whose}.*domain.peers.{key}"):
            domains.step(domain, step, settings=wrong)
    assert not domains.messages()
