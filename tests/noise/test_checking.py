"""The covert check names who leaves the protocol in a set that is opened, and nobody else."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from scipy.stats import chi2

from tests.noise.drawing import ATTEMPT, STUDY, Drawing, plan_of
from tests.sizes import first
from xstat_ray.errors import ProtocolError
from xstat_ray.noise import checking
from xstat_ray.noise.checking import ROLES, Shown, Transcript
from xstat_ray.noise.coins import Coins
from xstat_ray.noise.dealing import Dealer

PLAN = plan_of(Coins.of_scale(1.0), Coins.of_scale(2.0), rows=2, slots=3)
SEEDS = {role: bytes([number]) * 32 for number, role in enumerate(ROLES)}
NONCES = {role: bytes([9 - number]) * 32 for number, role in enumerate(ROLES)}
SETS = checking.sets_of(ATTEMPT, 3)


def flip(message):
    """Flip the lowest bit of a message's first array."""
    name = next(iter(message.ITEMS))
    array = getattr(message, name).copy()
    array.reshape(-1)[0] ^= array.dtype.type(1)
    return replace(message, **{name: array})


def played(attempt, alter=None, plan=PLAN):
    """Play one set; what each role would show of it."""
    seeds = {role: checking.seed_of_set(SEEDS[role], attempt) for role in ROLES}
    transcripts = {role: Transcript(STUDY) for role in ROLES}
    dealer = Dealer(plan, attempt, seeds["aggregator"])
    for role in checking.PARTIES:
        for who in ("aggregator", role):
            transcripts[who].add_seed(role, dealer.export_seed(role))
    for part in plan.parts:
        drawing = Drawing(plan, part.number, attempt, seeds, alter)
        for who in ("aggregator", "column"):
            transcripts[who].add_deal(drawing.deal)
        for pair in drawing.openings:
            for who in checking.PARTIES:
                for sender, opening in zip(checking.PARTIES, pair, strict=True):
                    transcripts[who].add_opening(sender, opening)
    return {role: Shown(seeds[role], transcripts[role].digests) for role in ROLES}


def leaves_of(shown, attempt):
    return {role: checking.leaf(role, attempt, shown[role]) for role in ROLES}


def check(shown, attempt, leaves=None, checker=None):
    leaves = leaves or leaves_of(shown, attempt)
    checking.check_set(PLAN, attempt, shown, leaves, study_digest=STUDY, checker=checker)


def test_a_whole_check_passes_where_all_follow_the_protocol():
    shown = {attempt: played(attempt) for attempt in SETS}
    leaves = {attempt: leaves_of(shown[attempt], attempt) for attempt in SETS}
    for role in ROLES:
        of_role = [leaves[attempt][role] for attempt in SETS]
        committed = checking.commitment(role, NONCES[role], of_role)
        checking.check_commitment(role, committed, NONCES[role], of_role, len(SETS))
    kept = checking.toss(NONCES, len(SETS))
    assert kept in range(3)
    for attempt in SETS:
        if attempt.set != kept:
            for checker in (*ROLES, None):
                check(shown[attempt], attempt, leaves[attempt], checker)


@pytest.mark.parametrize("turn", first(1, [3, *range(3), *range(4, 7)]))
@pytest.mark.parametrize("sender", ["row", "column"])
def test_a_flipped_bit_of_an_opening_names_its_sender(sender, turn):
    attempt = SETS[1]

    def alter(role, message):
        wrong = role == sender and message.part == 1 and message.round == turn
        return flip(message) if wrong else message

    shown = played(attempt, alter)
    with pytest.raises(ProtocolError, match=rf"the {sender} party did not.*opening 1 {turn} "):
        check(shown, attempt)


def test_a_flipped_bit_of_corrections_names_the_aggregator():
    attempt = SETS[0]
    shown = played(attempt, lambda role, sent: flip(sent) if role == "aggregator" else sent)
    with pytest.raises(ProtocolError, match=r"the aggregator did not follow.*'deal 0' of set 0"):
        check(shown, attempt)


def test_a_dealer_that_deals_another_seed_is_named():
    attempt = SETS[0]
    shown = played(attempt)
    transcript = Transcript(STUDY)
    transcript.add_seed("row", b"x" * 32)
    for role in ("aggregator", "row"):
        shown[role] = replace(shown[role], digests={**shown[role].digests, **transcript.digests})
    with pytest.raises(ProtocolError, match="the aggregator did not follow.*'seed to row'"):
        check(shown, attempt)


@pytest.mark.parametrize("role", ROLES)
def test_another_seed_than_was_used_names_whoever_shows_it(role):
    attempt = SETS[2]
    shown = played(attempt)
    committed = leaves_of(shown, attempt)
    name = checking.NAMES[role]
    shown[role] = replace(shown[role], seed=b"other seed".ljust(32))
    with pytest.raises(ProtocolError, match=f"the {name} shows another set than it committed to"):
        check(shown, attempt, committed)
    # Even if it had committed to that seed.
    with pytest.raises(ProtocolError, match=f"the {name} did not follow the protocol"):
        check(shown, attempt)


@pytest.mark.parametrize(
    ("checker", "named"),
    [
        ("column", "the row party did not"),
        ("row", "the column party did not"),
        (None, "the row party or, if it wrote down another message, the column party did not"),
    ],
)
def test_transcripts_that_differ_are_judged_by_the_checkers_own(checker, named):
    attempt = SETS[0]
    shown = played(attempt)
    digests = {**shown["column"].digests, "opening 0 0 row": bytes(32)}
    shown["column"] = replace(shown["column"], digests=digests)
    with pytest.raises(ProtocolError, match=named):
        check(shown, attempt, checker=checker)


@pytest.mark.parametrize("role", ROLES)
def test_messages_too_many_or_too_few_are_refused(role):
    attempt = SETS[0]
    shown = played(attempt)
    honest = shown[role]
    shown[role] = replace(honest, digests={**honest.digests, "deal 9": bytes(32)})
    with pytest.raises(ProtocolError, match=f"the {checking.NAMES[role]} shows messages that"):
        check(shown, attempt)
    fewer = dict(list(honest.digests.items())[:-1])
    shown[role] = replace(honest, digests=fewer)
    with pytest.raises(ProtocolError, match="did not follow the protocol"):
        check(shown, attempt)


def test_a_cheat_in_one_of_k_sets_is_found_unless_that_set_is_kept():
    found = []
    for number in range(200):
        nonces = {**NONCES, "row": number.to_bytes(32, "big")}
        found.append(checking.toss(nonces, len(SETS)) != 1)
    cheated = played(SETS[1], lambda role, m: flip(m) if role == "row" and m.round == 3 else m)
    with pytest.raises(ProtocolError, match="row party"):
        check(cheated, SETS[1])
    # 1 - 1/k of 200; five standard errors are 33.
    assert abs(sum(found) - 133) < 33


def test_a_toss_is_uniform_in_every_roles_nonce():
    for role in ROLES:
        tossed = [
            checking.toss({**NONCES, role: number.to_bytes(32, "big")}, 5) for number in range(2000)
        ]
        counts = np.bincount(tossed, minlength=5)
        assert ((counts - 400) ** 2 / 400).sum() < chi2.ppf(1 - 1e-6, 4)


@pytest.mark.parametrize("role", ROLES)
def test_commitments_bind(role):
    leaves = [bytes([number]) * 32 for number in range(3)]
    committed = checking.commitment(role, NONCES[role], leaves)
    checking.check_commitment(role, committed, NONCES[role], leaves, 3)
    others = [
        (bytes(32), leaves, 3),
        (NONCES[role], leaves[::-1], 3),
        (NONCES[role], leaves[:2], 3),
        (NONCES[role], [*leaves[:2], leaves[2][:31]], 3),
        (NONCES[role][:31], leaves, 3),
        (NONCES[role], leaves, 4),
    ]
    for nonce, changed, count in others:
        with pytest.raises(ProtocolError, match=f"the {checking.NAMES[role]} shows sets"):
            checking.check_commitment(role, committed, nonce, changed, count)
    another = next(other for other in ROLES if other != role)
    with pytest.raises(ProtocolError, match="did not commit to"):
        checking.check_commitment(another, committed, NONCES[role], leaves, 3)


def test_sets_have_seeds_of_their_own_and_leaves_hide_them():
    seeds = {checking.seed_of_set(SEEDS["row"], attempt) for attempt in SETS}
    assert len(seeds) == 3 and SEEDS["row"] not in seeds
    # The same transcript under another seed: another leaf, by which nobody can guess noise.
    shown = Shown(bytes(32), {"deal 0": bytes(32)})
    changes = [replace(shown, seed=b"x" * 32), replace(shown, digests={"deal 1": bytes(32)})]
    leaves = {checking.leaf("row", SETS[0], one) for one in (shown, *changes)}
    leaves |= {checking.leaf("column", SETS[0], shown), checking.leaf("row", SETS[1], shown)}
    assert len(leaves) == 5


def test_sizes_are_checked():
    with pytest.raises(ValueError, match="one set"):
        checking.sets_of(ATTEMPT, 0)
    with pytest.raises(ValueError, match="32 bytes"):
        checking.seed_of_set(bytes(16), ATTEMPT)
    with pytest.raises(ValueError, match="32 bytes"):
        checking.commitment("row", bytes(16), [])


def test_two_messages_of_one_name_are_refused():
    transcript = Transcript(STUDY)
    transcript.add_seed("row", bytes(32))
    transcript.add_seed("row", bytes(32))
    with pytest.raises(ProtocolError, match="two different messages"):
        transcript.add_seed("row", b"x" * 32)


def test_leaves_commitments_and_tosses_are_those_of_the_page():
    """A second implementation, by the section "Sets of coins" of docs/format.md alone."""

    def hashed(*parts: bytes) -> bytes:
        return sha256(b"".join(len(part).to_bytes(8, "little") + part for part in parts)).digest()

    shown = {attempt: played(attempt) for attempt in SETS}
    for role in ROLES:
        leaves = []
        for attempt in SETS:
            named = shown[attempt][role].digests
            assert sorted(named) == checking.message_names(role, PLAN)
            digests = [part for name in sorted(named) for part in (name.encode(), named[name])]
            use = f"noise {b'session'.hex()} 0 {attempt.set} 0 leaf".encode()
            seed = shown[attempt][role].seed
            leaves.append(hashed(b"xstat-ray v2 noise set", role.encode(), use, seed, *digests))
        assert leaves == [leaves_of(shown[attempt], attempt)[role] for attempt in SETS]
        parts = (b"xstat-ray v2 noise commitment", role.encode(), NONCES[role], *leaves)
        assert checking.commitment(role, NONCES[role], leaves) == hashed(*parts)
    nonces = (NONCES[role] for role in ("aggregator", "row", "column"))
    number = int.from_bytes(hashed(b"xstat-ray v2 noise toss", *nonces), "little")
    assert checking.toss(NONCES, 3) == number % 3
