"""A server that is killed again and again amid debits: none is lost, none made twice, and no budget overspent."""

from __future__ import annotations

import multiprocessing
import signal
from fractions import Fraction
from itertools import cycle

import pytest

from tests import postgres
from tests.privacy.ledgers import spend
from tests.sizes import slow
from xstat_ray.privacy.ledger import Ledger

CRASHES = (signal.SIGKILL, signal.SIGQUIT)


@slow
@pytest.mark.parametrize(
    ("workers", "times", "between"),
    [pytest.param(2, 100, 0.5), pytest.param(8, 200, 4)],
)
def test_debits_survive_a_server_that_is_killed(workers, times, between):
    """All workers together want `workers` times the cap."""
    if postgres.programs() is None:
        pytest.skip(postgres.MISSING)
    crashes = 0
    with postgres.started("fsync=on") as server:
        place = server.new_ledger()
        with multiprocessing.get_context("spawn").Pool(workers) as pool:
            work = pool.starmap_async(spend, [(place, worker, times) for worker in range(workers)])
            for how in cycle(CRASHES):
                work.wait(between)
                if work.ready():
                    break
                server.stop(how)
                crashes += 1
                server.start()
            granted = work.get()
        ledger = Ledger(place)
        history = ledger.history()
        assert ledger.spent("a") == Fraction(times, 10)
    assert crashes
    debits = [entry.release for entry in history if entry.kind == "debit"]
    assert sorted(debits) == sorted(release for some in granted for release in some)
    assert [entry.kind for entry in history].count("refusal") == (workers - 1) * times
