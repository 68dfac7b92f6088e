"""The parties' ledgers lie in a PostgreSQL server that dies in the midst of a run of three domains."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from tests import postgres
from tests.case import Case, study
from tests.federation.domains import Domains
from tests.sizes import first, slow, thorough
from xstat_ray.errors import InputError
from xstat_ray.privacy import postgresql_history

pytestmark = thorough
ONCE = {"row": Fraction(1), "column": Fraction(1)}
ASKING = [("row", "approve"), ("column", "decrypt"), ("column", "handshake"), ("row", "emit")]
"""Steps that ask a ledger, or write into it."""


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    """A server that waits for the disk, as whatever dies must be found there."""
    if postgres.programs() is None:
        pytest.skip(postgres.MISSING)
    with postgres.started("fsync=on") as server:
        yield server


@pytest.fixture
def domains(server: postgres.Server, quick_key: object, tmp_path: Path) -> Domains:
    ledgers = {party: server.new_ledger() for party in ("row", "column")}
    noisy = study(noise="laplace", privacy={"padding": "dp"})
    return Domains(tmp_path, noisy, Case(tmp_path).tables, ledgers)


@pytest.mark.parametrize(
    "step", first(2, [pytest.param(step) for step in ASKING], slow), ids=" ".join
)
def test_a_step_whose_ledger_is_gone_is_done_by_the_same_command(
    domains, server, monkeypatch, step
):
    domains.run(until=step)
    server.stop(signal.SIGKILL)
    with monkeypatch.context() as patch:
        patch.setattr(postgresql_history, "WAIT", 0.2)
        with pytest.raises(InputError, match="the budget ledger cannot be used"):
            domains.step(*step)
    server.start()
    domains.run()
    # Whatever died when, both have debited the release once.
    assert domains.spent() == ONCE
