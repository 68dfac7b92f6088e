"""Releases whose parties keep their budgets in PostgreSQL."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.case import Case, study, use_key
from tests.federation.domains import Domains
from tests.heard import Heard
from tests.jobs.command import run
from tests.postgres import PASSWORD, WRITER
from tests.sizes import slow, thorough
from xstat_ray import BudgetError, InputError, crosstab
from xstat_ray.crypto.keygen import generate
from xstat_ray.inputs.source import Source
from xstat_ray.privacy.database import Database
from xstat_ray.privacy.ledger import Ledger

NOISY = study(noise="laplace", privacy={"cap": 2})
PARTIES = ("row", "column")
STUDY = """# @package _global_
study:
  name: small
  row: {id: id, dimensions: [{name: area, values: [a, b]}]}
  column: {id: id, dimensions: [{name: kind, values: [x, "y"]}]}
  bounds: {persons: 2000}
privacy: {noise: laplace, epsilon: 1, delta: 1e-9, cap: 2}
data:
  row: {path: rows.parquet}
  column: {path: columns.parquet}
"""


@pytest.fixture(scope="module")
def key():
    return generate(2048)


@pytest.fixture
def case(tmp_path, monkeypatch, key):
    monkeypatch.chdir(tmp_path)
    use_key(key, monkeypatch.setattr)
    return Case(tmp_path)


@pytest.fixture
def ledgers(postgres):
    return {party: postgres.new_ledger() for party in PARTIES}


class Shown(Heard):
    """Keeps the plan that is shown."""

    def planned(self, plan):
        self.plan = plan


def spent(ledgers):
    return [Ledger(ledgers[party]).spent(f"small/{party}") for party in PARTIES]


def test_each_party_may_keep_its_budget_in_a_database(case, ledgers):
    sources = {party: Source(case.tables[party], ledger=ledgers[party]) for party in PARTIES}
    shown = Shown()
    for number in (1, 1, 2):
        out = case.folder / f"out {number}"
        if out.exists():
            with pytest.raises(InputError, match="already holds a release"):
                crosstab(NOISY, **sources, out=out, options=case.options())
        else:
            crosstab(NOISY, **sources, out=out, options=case.options(), progress=shown)
        assert spent(ledgers) == [number, number]
    lines = [value for name, value in shown.plan.rows() if name == "Budget ledger"]
    assert lines == [f"{ledgers[party]}, of small/{party}" for party in PARTIES]
    with pytest.raises(BudgetError, match="epsilon 2 of 2 is spent"):
        crosstab(NOISY, **sources, out=case.folder / "out 3", options=case.options())
    # Each has recorded the head of the other's ledger.
    for party, other in (PARTIES, PARTIES[::-1]):
        (head,) = Ledger(ledgers[party]).witnessed(f"small/{other}")
        assert Ledger(ledgers[other]).holds(head)
    published = [path for path in case.folder.glob("out 1/*") if path.is_file()]
    assert published
    assert not [path for path in published if b"postgresql" in path.read_bytes()]
    assert not (case.folder / ".xstat-ray").exists()


@thorough
def test_domains_may_keep_theirs_in_databases(case, ledgers):
    domains = Domains(
        case.folder, study(noise="laplace", privacy={"padding": "dp"}), case.tables, ledgers
    )
    domains.run()
    assert domains.spent() == {"row": Fraction(1), "column": Fraction(1)}


@pytest.mark.parametrize(
    "deployment",
    [pytest.param("local", marks=thorough), pytest.param("federated", marks=slow)],
)
def test_a_password_over_tcp_is_nowhere_afterwards(
    case, postgres, ledgers, monkeypatch, deployment
):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    (case.folder / "conf" / "study").mkdir(parents=True)
    (case.folder / "conf" / "study" / "small.yaml").write_text(STUDY)
    over_tcp = {
        party: Database(postgres.uri(user=WRITER, tcp=True, schema=ledgers[party].schema))
        for party in PARTIES
    }
    settings = [f"data.{party}.ledger='{over_tcp[party]}'" for party in PARTIES]
    done = run(
        "crosstab",
        case.folder,
        *(
            "--config-dir",
            "conf",
            "study=small",
            "runtime=local",
            "out=out",
            "crypto.key_bits=2048",
        ),
        *(f"deployment={deployment}", *settings),
    )
    assert done.code == 0, done.error
    assert spent(ledgers) == [1, 1]
    assert PASSWORD not in done.printed
    written = [path for path in case.folder.rglob("*") if path.is_file()]
    assert not [path for path in written if PASSWORD.encode() in path.read_bytes()]
