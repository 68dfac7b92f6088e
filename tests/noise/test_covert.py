"""All sets of coins are drawn and checked; a role that departs in one that is opened is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.noise.drawing import ATTEMPT, STUDY, Drawing, integers, plan_of
from tests.sizes import first
from xstat_ray.errors import DepartureError, ProtocolError
from xstat_ray.noise.checking import NAMES, ROLES, seed_of_set, sets_of
from xstat_ray.noise.coins import Coins
from xstat_ray.noise.covert import CovertCheck
from xstat_ray.noise.draw import Dealing, PartyDraw
from xstat_ray.noise.messages import Deal, OpenedSets, Opening, Toss

PLAN = plan_of(Coins.of_scale(1.0), Coins.of_scale(2.0), rows=2, slots=3)
PARTS = len(PLAN.parts)
SEEDS = {role: bytes([number]) * 32 for number, role in enumerate(ROLES)}
SETS = 3
SESSION = ATTEMPT.session.hex()
Alter = Callable[[str, int, Any], Any]


def honest(role: str, of_set: int, message: Any) -> Any:
    del role, of_set
    return message


class Drawn:
    """All roles after they have drawn every set."""

    def __init__(
        self, alter: Alter = honest, seeds: dict[str, bytes] = SEEDS, sets: int = SETS
    ) -> None:
        """Draw.

        Args:
            alter: what a role sends in place of a message, by the number of the set.
            seeds: of the roles.
            sets: how many.
        """
        how = {"study_digest": STUDY}
        self.dealing = Dealing(PLAN, SESSION, sets, seed=seeds["aggregator"], **how)
        self.row, self.column = (
            PartyDraw(
                *(role, PLAN, SESSION),
                seed=seeds[role],
                dealt=self.dealing.export_seeds(role),
                **how,
            )
            for role in ("row", "column")
        )
        for number in self.dealing.numbers:
            self.draw(number, alter)

    def draw(self, number: int, alter: Alter) -> None:
        of_set = number // PARTS
        deal: Deal = alter("aggregator", of_set, self.dealing.deal(number))
        of_row: Opening | None = self.row.begin(number)
        of_column: Opening | None = self.column.begin(number, deal)
        turn = 0
        while of_row is not None and of_column is not None:
            sent = alter("row", of_set, of_row), alter("column", of_set, of_column)
            of_row = self.row.advance(number, turn, sent[1])
            of_column = self.column.advance(number, turn, sent[0])
            turn += 1

    @property
    def sides(self) -> dict[str, CovertCheck]:
        """Every role's side of the check."""
        return {
            "aggregator": self.dealing.check,
            "row": self.row.check,
            "column": self.column.check,
        }

    def told(self, step: str, *before: dict[str, bytes]) -> dict[str, bytes]:
        """What each role tells the others in a step, of what the others told in the one before."""
        messages = {}
        for role, side in self.sides.items():
            others = [{who: said for who, said in told.items() if who != role} for told in before]
            messages[role] = getattr(side, step)(*others)
        return messages

    def tossed(self) -> dict[str, bytes]:
        return self.told("toss", self.told("commit"))

    def check(self, *roles: str) -> None:
        """Go through the whole check; these parties compute the opened sets again."""
        opened = self.told("open", self.tossed())
        for role in roles or ("row", "column"):
            others = {who: message for who, message in opened.items() if who != role}
            self.sides[role].check(others)


def flip(message: Any) -> Any:
    """Flip the lowest bit of a message's first array."""
    name = next(iter(message.ITEMS))
    array = getattr(message, name).copy()
    array.reshape(-1)[0] ^= array.dtype.type(1)
    return replace(message, **{name: array})


def cheat(role: str, of_set: int) -> Alter:
    """One bit of what a role sends in a set is wrong."""

    def alter(sender: str, number: int, message: Any) -> Any:
        third = not isinstance(message, Opening) or message.round == 3
        return flip(message) if (sender, number) == (role, of_set) and third else message

    return alter


def kept_of(drawn: Drawn) -> int:
    """The number of the set that is kept, which honest messages do not change."""
    drawn.check()
    return drawn.row.check.kept


def test_the_kept_set_is_the_noise_and_all_roles_keep_the_same():
    drawn = Drawn()
    drawn.check()
    (kept,) = {side.kept for side in drawn.sides.values()}
    attempt = sets_of(ATTEMPT, SETS)[kept]
    seeds = {role: seed_of_set(SEEDS[role], attempt) for role in ROLES}
    expected = [Drawing(PLAN, part.number, attempt, seeds).noise for part in PLAN.parts]
    found = integers(drawn.row.share + drawn.column.share)
    assert found.tolist() == np.concatenate(expected).tolist()


@pytest.mark.parametrize("role", ROLES)
def test_a_cheat_is_named_unless_its_set_is_kept(role):
    victim = "row" if role == "column" else "column"
    found = []
    for of_set in range(SETS):
        drawn = Drawn(cheat(role, of_set))
        try:
            drawn.check(victim)
        except DepartureError as error:
            assert error.who == NAMES[role] and f"of set {of_set}" in str(error)
            assert not drawn.sides[victim].passed
            found.append(of_set)
        else:
            assert drawn.row.check.kept == of_set
    assert len(found) == SETS - 1


def test_who_did_not_get_a_message_cannot_tell_its_sender_from_its_receiver():
    drawn = Drawn(cheat("aggregator", (kept_of(Drawn()) + 1) % SETS))
    with pytest.raises(DepartureError) as caught:
        drawn.check("row")
    assert caught.value.who.startswith(
        "aggregator or, if it wrote down another message, the column"
    )


def test_which_set_is_kept_depends_on_everybodys_seed():
    kept = set()
    for number in range(12):
        for role in ROLES:
            drawn = Drawn(seeds=SEEDS | {role: bytes([50 + number]) * 32}, sets=2)
            drawn.check()
            kept.add((role, drawn.row.check.kept))
            if len(kept) == 2 * len(ROLES):
                return
    raise AssertionError(kept)


@pytest.mark.parametrize("liar", first(1, ["row", "column", "aggregator"]))
def test_commitments_that_differ_stop_the_others_before_any_set_is_opened(liar):
    """Else two roles would keep different sets, and open together what a third one uses."""
    drawn = Drawn()
    committed = drawn.told("commit")
    other = CovertCheck(liar, PLAN, sets_of(ATTEMPT, SETS), seed=b"x" * 32, study_digest=STUDY)
    other.transcripts = drawn.sides[liar].transcripts
    first_one, second = (role for role in ROLES if role != liar)
    tosses = {}
    for role in (first_one, second):
        told = {who: said for who, said in committed.items() if who != role}
        if role == second:
            told[liar] = other.commit()
        tosses[role] = drawn.sides[role].toss(told)
    told = {who: committed[who] for who in (first_one, second)}
    of_liar = {first_one: drawn.sides[liar].toss(told), second: other.toss(told)}
    for role, peer in ((first_one, second), (second, first_one)):
        with pytest.raises(DepartureError, match=f"{NAMES[liar]}.*different commitments"):
            drawn.sides[role].open({liar: of_liar[role], peer: tosses[peer]})
        with pytest.raises(ProtocolError, match="not been tossed for"):
            _ = drawn.sides[role].kept


def test_another_toss_than_was_committed_to_names_its_sender():
    drawn = Drawn()
    tossed = drawn.tossed()
    shown = Toss.decode(tossed["row"], STUDY)
    forged = {"column": tossed["column"], "row": replace(shown, nonce="00" * 32).encode(STUDY)}
    with pytest.raises(DepartureError, match="the row party shows sets of noise that it did not"):
        drawn.dealing.check.open(forged)
    other = replace(shown, row="00" * 32).encode(STUDY)
    with pytest.raises(DepartureError, match="the row party told of different commitments"):
        drawn.dealing.check.open(forged | {"row": other})


def test_too_few_sets_name_who_opens_them():
    drawn = Drawn()
    opened = drawn.told("open", drawn.tossed())
    shown = OpenedSets.decode(opened["aggregator"], STUDY)
    fewer = OpenedSets(shown.seeds[:1], shown.digests[:1]).encode(STUDY)
    with pytest.raises(DepartureError, match="the aggregator shows sets of noise of another size"):
        drawn.row.check.check({"column": opened["column"], "aggregator": fewer})
    with pytest.raises(ProtocolError, match="not been checked"):
        _ = drawn.row.share


def test_steps_come_in_their_order():
    drawn = Drawn()
    for side in drawn.sides.values():
        with pytest.raises(ProtocolError, match="nobody has committed"):
            side.open({})
        with pytest.raises(ProtocolError, match="not been tossed for"):
            side.check({})
    committed = drawn.told("commit")
    with pytest.raises(ProtocolError, match="another commitment"):
        drawn.row.check.toss({"column": committed["column"]})
    drawn.told("toss", committed)
    with pytest.raises(ProtocolError, match="another commitment"):
        drawn.row.check.toss(committed | {"column": committed["aggregator"]})
    fresh = Dealing(PLAN, SESSION, SETS, seed=bytes(32), study_digest=STUDY)
    fresh.export_seeds("row")
    with pytest.raises(ProtocolError, match="not all sets of the noise have been drawn"):
        fresh.check.commit()


def test_a_single_set_is_drawn_without_a_check():
    drawn = Drawn(sets=1)
    assert drawn.row.share.shape == (2, 4, 3)
    for side in (drawn.dealing, drawn.row):
        with pytest.raises(ProtocolError, match="cannot be checked"):
            _ = side.check


def test_calls_out_of_order_are_refused_and_repeated_ones_change_nothing():
    drawn = Drawn(sets=1)
    last = PARTS - 1
    share = drawn.row.share
    opening = drawn.row.begin(last)
    assert drawn.row.begin(last) is opening
    # An opening that comes again, whatever is in it, is answered as it was.
    again = drawn.row.advance(last, 0, flip(drawn.column.begin(last)))
    assert again is not None and again.round == 1
    assert drawn.row.advance(last, 6, opening) is None
    assert (drawn.row.share == share).all()
    for number, turn in ((last, 7), (last, -1), (0, 0), (last + 1, 0)):
        with pytest.raises(ProtocolError, match="out of turn"):
            drawn.row.advance(number, turn, opening)
    for number in (0, last + 1):
        with pytest.raises(ProtocolError, match="in their order"):
            drawn.row.begin(number)
