"""Both parties draw the noise over their channel, with and without the covert check."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from tests.adversary.planted import sampler
from tests.case import Case, study
from tests.roles.pair import agreed_pair
from xstat_ray.crypto.channel import hand_over
from xstat_ray.errors import DepartureError, ProtocolError
from xstat_ray.noise.draw import Dealing
from xstat_ray.planning.plan import make_plan
from xstat_ray.protocol import draw_noise
from xstat_ray.roles import ColumnParty, RowParty

STUDY = study(noise="laplace")
CHECKED = study(noise="laplace", privacy={"checked": 3})


class Twice:
    """A party, every method of which is called twice: an answer may be lost on its way."""

    def __init__(self, party: Any) -> None:
        self._party = party

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._party, name)

        def again(*arguments: Any) -> Any:
            method(*arguments)
            return method(*arguments)

        return again


def pair_of(declared: Any, folder: Any) -> tuple[RowParty, ColumnParty]:
    case = Case(folder)
    return agreed_pair(declared, case.tables["row"], case.tables["column"])


@pytest.mark.parametrize("declared", [STUDY, CHECKED], ids=["one set", "three sets"])
@pytest.mark.parametrize("wrap", [lambda party: party, Twice], ids=["once", "every call twice"])
def test_the_shares_add_up_to_noise_that_no_share_tells(declared, wrap, tmp_path):
    plan = make_plan(declared)
    row, column = pair_of(declared, tmp_path)
    draw_noise(plan, wrap(row), wrap(column))
    low, high = row._noise + column._noise
    noise = low + (high << 32)
    assert noise.shape == (2, 2) and np.abs(noise).max() <= plan.noise.largest
    assert np.abs(row._noise[1]).min() > plan.noise.largest


def test_openings_of_rounds_before_are_answered_as_they_were(tmp_path):
    plan = make_plan(STUDY)
    row, column = pair_of(STUDY, tmp_path)
    dealing = Dealing(plan.noise, row.session(), 1, seed=bytes(32), study_digest=STUDY.digest)
    for role, party in (("row", row), ("column", column)):
        party.accept_deal(hand_over(party.dealing_key(), {"seed": dealing.export_seeds(role)}))
    deal = hand_over(column.dealing_key(), {"deal": dealing.deal(0).encode(STUDY.digest)})
    of_row = [row.begin_noise(0)]
    of_column = [column.begin_noise(0, deal)]
    while of_row[-1] is not None:
        turn = len(of_row) - 1
        of_row.append(row.advance_noise(0, turn, of_column[turn]))
        of_column.append(column.advance_noise(0, turn, of_row[turn]))
    share = row._party_draw.share.copy()

    def opened(sealed: bytes | None, turn: int) -> bytes | None:
        return None if sealed is None else column._channel("row").open(sealed, f"opening 0 {turn}")

    for turn in (3, 0, 6):
        again = row.advance_noise(0, turn, of_column[turn])
        assert opened(again, turn + 1) == opened(of_row[turn + 1], turn + 1)
    assert opened(row.begin_noise(0), 0) == opened(of_row[0], 0)
    with pytest.raises(ProtocolError, match="altered"):
        row.advance_noise(0, 1, of_column[2])
    with pytest.raises(ProtocolError, match="another seed was dealt"):
        row.accept_deal(hand_over(row.dealing_key(), {"seed": bytes(32)}))
    row.accept_deal(hand_over(row.dealing_key(), {"seed": dealing.export_seeds("row")}))
    assert (row._party_draw.share == share).all()
    row.keep_noise()
    row.keep_noise()
    assert (row._noise == share).all()


def test_noise_that_is_not_checked_is_not_kept(tmp_path, monkeypatch):
    row, column = pair_of(CHECKED, tmp_path)
    monkeypatch.setattr("xstat_ray.protocol.check_sets", lambda *_: None)
    with pytest.raises(ProtocolError, match="have not been checked"):
        draw_noise(make_plan(CHECKED), row, column)


CHEATS = {
    "aggregator": sampler.deals_other_shares,
    "row party": partial(sampler.tosses_other_coins, role="row"),
    "column party": partial(sampler.tosses_other_coins, role="column"),
}


@pytest.mark.parametrize("who", CHEATS)
def test_a_role_that_departs_in_every_set_is_always_named(who, tmp_path, monkeypatch):
    row, column = pair_of(CHECKED, tmp_path)
    CHEATS[who](monkeypatch)
    with pytest.raises(DepartureError, match="did not follow the protocol of the noise") as caught:
        draw_noise(make_plan(CHECKED), row, column)
    assert caught.value.who == who
    for party in (row, column):
        with pytest.raises(ProtocolError, match="not been checked"):
            party.keep_noise()


@pytest.mark.parametrize("who", CHEATS)
def test_without_the_check_nobody_notices(who, tmp_path, monkeypatch):
    row, column = pair_of(STUDY, tmp_path)
    CHEATS[who](monkeypatch)
    draw_noise(make_plan(STUDY), row, column)
