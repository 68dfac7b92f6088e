"""The covert check: sets of noise are drawn, all but one are opened and computed again.

Drawing noise has no private input, so that what was drawn can be shown and replayed, as long as it
is not used (Aumann and Lindell, "Security against covert adversaries", TCC 2007). With k sets a
role that leaves the protocol in one of them is found and named with probability 1 - 1/k:

1. Each role has a seed for each set (`seed_of_set`). All k sets are drawn; each role writes down
   the digests of what it sent and received (`Transcript`).
2. Each role -> the others: its commitment, to a nonce and to every set (`commitment`, `leaf`).
3. When all three are there, each role -> the others: the nonce, the leaves (`check_commitment`),
   and the three commitments, so that all know to have the same ones.
4. The nonces toss which set is kept (`toss`). Nobody chose it: every nonce was committed to before
   any was shown (Blum, "Coin flipping by telephone", 1981), after all sets had been drawn.
5. Each role -> the parties: seed and transcript of every other set (`Shown`). Both parties compute
   these sets again (`check_set`); the first message that differs names its sender. Messages after
   it may differ without a fault, as they follow from what was received. The aggregator has nothing
   to check: what it deals is all that it has of the draw.
6. The kept set is the noise. Nothing of it was shown: leaves hide its seeds.

`noise.covert` goes through steps 2 to 5 for one role.

A role that shows nothing, or stops, ends the run and is known by that. Whoever begins another
session after it gives it another toss. A receiver might write down another message than it got: a
party that checks relies on its own transcript, and to others signed envelopes
(`federation.envelope`) tell which it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Literal

from xstat_ray.crypto.derive import derive
from xstat_ray.errors import DepartureError, ProtocolError
from xstat_ray.model.study import Role
from xstat_ray.noise.bits import SEED_BYTES, Attempt, check_seed
from xstat_ray.noise.dealing import Dealer
from xstat_ray.noise.messages import Deal, Opening
from xstat_ray.noise.plan import NoisePlan
from xstat_ray.noise.sampler import PartSampler, Sampler, rounds

AnyRole = Literal["aggregator", "row", "column"]
PARTIES: tuple[Role, ...] = ("row", "column")
ROLES: tuple[AnyRole, ...] = ("aggregator", *PARTIES)
NAMES: Mapping[AnyRole, str] = {
    "aggregator": "aggregator",
    "row": "row party",
    "column": "column party",
}
NONCE_BYTES = 32
_LEAF = b"xstat-ray v2 noise set"
_COMMITMENT = b"xstat-ray v2 noise commitment"
_TOSS = b"xstat-ray v2 noise toss"


def sets_of(attempt: Attempt, count: int) -> tuple[Attempt, ...]:
    """The sets of an attempt; a single one is not checked.

    Raises:
        ValueError: there is none.
    """
    if count < 1:
        raise ValueError("the noise needs one set at least")
    return tuple(replace(attempt, set=number) for number in range(count))


def seed_of_set(seed: bytes, attempt: Attempt) -> bytes:
    """A role's 32 bytes for one set; those of other sets tell nothing about it.

    Args:
        seed: 32 secret bytes of the role, which it never shows.
        attempt: with the number of the set.

    Raises:
        ValueError: the seed does not have 32 bytes.
    """
    check_seed(seed)
    return derive(seed, attempt.purpose("seed of set", 0), SEED_BYTES)


def message_names(role: AnyRole, plan: NoisePlan) -> list[str]:
    """Sorted names of all messages of a set that a role sends or receives."""
    parts = plan.parts
    seeds = [_seed_name(party) for party in PARTIES if role in ("aggregator", party)]
    deals = [_deal_name(part.number) for part in parts if role != "row"]
    openings = [
        _opening_name(part.number, turn, party)
        for part in parts
        for turn in range(rounds(part.coins.bits))
        for party in PARTIES
        if role != "aggregator"
    ]
    return sorted([*seeds, *deals, *openings])


def _seed_name(receiver: Role) -> str:
    return f"seed to {receiver}"


def _deal_name(part: int) -> str:
    return f"deal {part}"


def _opening_name(part: int, turn: int, sender: Role) -> str:
    return f"opening {part} {turn} {sender}"


class Transcript:
    """Digests of what a role sent and received of one set, by the name of each message."""

    def __init__(self, study_digest: bytes) -> None:
        """Begin an empty one; messages are bound to the study."""
        self._study = study_digest
        self._digests: dict[str, bytes] = {}

    @property
    def digests(self) -> Mapping[str, bytes]:
        """SHA-256 of every message, by name."""
        return self._digests

    def add_seed(self, receiver: Role, seed: bytes) -> None:
        """Write down what the aggregator dealt to a party, or a party was dealt."""
        self._add(_seed_name(receiver), seed)

    def add_deal(self, deal: Deal) -> None:
        """Write down the corrections of a part."""
        self._add(_deal_name(deal.part), deal.encode(self._study))

    def add_opening(self, sender: Role, opening: Opening) -> None:
        """Write down one opening of a round."""
        name = _opening_name(opening.part, opening.round, sender)
        self._add(name, opening.encode(self._study))

    def _add(self, name: str, message: bytes) -> None:
        digest = sha256(message).digest()
        if self._digests.setdefault(name, digest) != digest:
            raise ProtocolError(f"two different messages of the noise are called {name}")


@dataclass(frozen=True)
class Shown:
    """What a role shows of a set that is opened."""

    seed: bytes
    """Of the set (`seed_of_set`)."""
    digests: Mapping[str, bytes]
    """Its transcript."""


def leaf(role: AnyRole, attempt: Attempt, shown: Shown) -> bytes:
    """32 bytes that bind a role to one set and hide it, since the seed is unknown."""
    parts = [_LEAF, role.encode(), attempt.purpose("leaf", 0).encode(), shown.seed]
    for name in sorted(shown.digests):
        parts += [name.encode(), shown.digests[name]]
    return _hash(parts)


def commitment(role: AnyRole, nonce: bytes, leaves: Sequence[bytes]) -> bytes:
    """32 bytes that bind a role to its nonce and to all sets, and hide the nonce.

    Args:
        role: who commits.
        nonce: 32 secret random bytes, of this attempt alone.
        leaves: of each set, in order.

    Raises:
        ValueError: the nonce does not have 32 bytes.
    """
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"a nonce of the covert check has {NONCE_BYTES} bytes")
    return _hash([_COMMITMENT, role.encode(), nonce, *leaves])


def check_commitment(
    role: AnyRole, committed: bytes, nonce: bytes, leaves: Sequence[bytes], count: int
) -> None:
    """Check what a role shows of its commitment.

    Raises:
        DepartureError: not what it committed to, or not `count` sets; names the role.
    """
    right = len(nonce) == NONCE_BYTES and [len(one) for one in leaves] == [32] * count
    if not right or commitment(role, nonce, leaves) != committed:
        raise DepartureError(NAMES[role], "shows sets of noise that it did not commit to")


def toss(nonces: Mapping[AnyRole, bytes], count: int) -> int:
    """Number of the set that is kept: uniform if one role's nonce is.

    Args:
        nonces: of all three roles, checked against their commitments.
        count: number of sets.
    """
    digest = _hash([_TOSS, *(nonces[role] for role in ROLES)])
    return int.from_bytes(digest, "little") % count


def check_set(
    plan: NoisePlan,
    attempt: Attempt,
    shown: Mapping[AnyRole, Shown],
    leaves: Mapping[AnyRole, bytes],
    *,
    study_digest: bytes,
    checker: AnyRole | None = None,
) -> None:
    """Compute an opened set again, and compare every message with all transcripts.

    Args:
        plan: of the release.
        attempt: with the number of the set.
        shown: by each role.
        leaves: that the roles had committed to.
        study_digest: to which messages are bound.
        checker: the role that checks, which relies on its own transcript; None for others, who
            cannot tell a sender from a receiver that wrote down another message.

    Raises:
        DepartureError: a role shows what it did not commit to, or sent what does not follow from
            the seeds; names it.
    """
    for role in ROLES:
        if leaf(role, attempt, shown[role]) != leaves[role]:
            raise DepartureError(NAMES[role], "shows another set than it committed to")
    counts = dict.fromkeys(ROLES, 0)
    seeds = {role: shown[role].seed for role in ROLES}
    for sender, receiver, one in _replay(plan, attempt, seeds, study_digest):
        ((name, digest),) = one.digests.items()
        wrong = [r for r in (sender, receiver) if shown[r].digests.get(name) != digest]
        if wrong:
            raise DepartureError(
                _blamed(sender, receiver, wrong, checker),
                f"did not follow the protocol of the noise: message '{name}' of set {attempt.set} "
                "is not what the seeds give",
            )
        counts[sender] += 1
        counts[receiver] += 1
    for role in ROLES:
        if counts[role] != len(shown[role].digests):
            raise DepartureError(NAMES[role], "shows messages that the noise does not have")


def _blamed(
    sender: AnyRole, receiver: AnyRole, wrong: Sequence[AnyRole], checker: AnyRole | None
) -> str:
    """Who sent, or wrote down, another message than follows from the seeds."""
    if sender in wrong or checker == receiver:
        return NAMES[sender]
    if checker == sender:
        return NAMES[receiver]
    return f"{NAMES[sender]} or, if it wrote down another message, the {NAMES[receiver]}"


def _replay(
    plan: NoisePlan, attempt: Attempt, seeds: Mapping[AnyRole, bytes], study: bytes
) -> Iterator[tuple[AnyRole, Role, Transcript]]:
    """All messages of a set, in an order in which each depends on those before it alone.

    Yields:
        Sender, receiver, and a transcript that holds one message.
    """
    dealer = Dealer(plan, attempt, seeds["aggregator"])
    row, column = (
        Sampler(role, plan, attempt, seeds[role], dealer.export_seed(role)) for role in PARTIES
    )
    for role in PARTIES:
        one = Transcript(study)
        one.add_seed(role, dealer.export_seed(role))
        yield "aggregator", role, one
    for part in range(len(plan.parts)):
        deal = dealer.deal(part)
        one = Transcript(study)
        one.add_deal(deal)
        yield "aggregator", "column", one
        yield from _openings(row.begin(part), column.begin(part, deal), study)


def _openings(
    row: PartSampler, column: PartSampler, study: bytes
) -> Iterator[tuple[AnyRole, Role, Transcript]]:
    more = True
    while more:
        ours = row.opening
        theirs = column.opening
        one = Transcript(study)
        one.add_opening("row", ours)
        yield "row", "column", one
        one = Transcript(study)
        one.add_opening("column", theirs)
        yield "column", "row", one
        more = row.advance(theirs)
        column.advance(ours)


def _hash(parts: Sequence[bytes]) -> bytes:
    """SHA-256 of byte strings, each behind its length (8 bytes), so that none runs into another."""
    return sha256(b"".join(len(part).to_bytes(8, "little") + part for part in parts)).digest()
