"""One role's side of the covert check: a class that goes through the steps of `noise.checking`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from xstat_ray.crypto.derive import derive
from xstat_ray.errors import DepartureError, ProtocolError
from xstat_ray.noise.bits import Attempt
from xstat_ray.noise.checking import (
    NAMES,
    NONCE_BYTES,
    ROLES,
    AnyRole,
    Shown,
    Transcript,
    check_commitment,
    check_set,
    commitment,
    leaf,
    message_names,
    seed_of_set,
    toss,
)
from xstat_ray.noise.messages import Commitment, OpenedSets, Toss
from xstat_ray.noise.plan import NoisePlan
from xstat_ray.util.secrecy import Secret


class CovertCheck(Secret):
    """What a role needs to commit to its sets, to open all but one, and to check the others'.

    Write all messages of all sets down in `transcripts`; then call `commit`, `toss` and `open`,
    and as a party `check`. All of it follows from the seed and from what others sent: a step that
    is repeated gives the same bytes.
    """

    def __init__(
        self,
        role: AnyRole,
        plan: NoisePlan,
        attempts: Sequence[Attempt],
        *,
        seed: bytes,
        study_digest: bytes,
    ) -> None:
        """Begin with empty transcripts.

        Args:
            role: whose side.
            plan: of the release.
            attempts: the sets, two at least.
            seed: the role's 32 secret bytes, from which it has those of each set (`seed_of_set`).
            study_digest: to which messages are bound.
        """
        self._role: AnyRole = role
        self._plan = plan
        self._attempts = attempts
        self._seeds = [seed_of_set(seed, attempt) for attempt in attempts]
        self._nonce = derive(seed, attempts[0].purpose("nonce of the check", 0), NONCE_BYTES)
        self._study = study_digest
        self._commitments: Mapping[AnyRole, bytes] = {}
        self._leaves: Mapping[AnyRole, Sequence[bytes]] = {}
        self._kept: int | None = None
        self.transcripts = [Transcript(study_digest) for _ in attempts]
        """Of each set, to be filled while it is drawn."""
        self.passed = False
        """Whether every set but the kept one was found to follow from its seeds."""

    @property
    def kept(self) -> int:
        """Number of the set that is used.

        Raises:
            ProtocolError: it has not been tossed for.
        """
        if self._kept is None:
            raise ProtocolError("the sets of the noise have not been tossed for")
        return self._kept

    def commit(self) -> bytes:
        """Commit to the nonce and to all sets; returns the message for both other roles.

        Raises:
            ProtocolError: a set is not drawn to its end.
        """
        names = message_names(self._role, self._plan)
        if any(sorted(one.digests) != names for one in self.transcripts):
            raise ProtocolError("not all sets of the noise have been drawn")
        digest = np.frombuffer(self._commitment, np.uint8).reshape(1, -1)
        return Commitment(digest).encode(self._study)

    def toss(self, commitments: Mapping[AnyRole, bytes]) -> bytes:
        """Show the nonce, once all roles have committed to theirs.

        Args:
            commitments: what `commit` of the other roles gave.

        Returns:
            The message for both other roles.

        Raises:
            ProtocolError: a message is malformed, or a role had committed to something else before.
        """
        read = {role: self._committed(message) for role, message in commitments.items()}
        read[self._role] = self._commitment
        if self._commitments not in ({}, read) or set(read) != set(ROLES):
            raise ProtocolError("another commitment to the sets of the noise came before")
        self._commitments = read
        leaves = np.frombuffer(b"".join(self._own_leaves), np.uint8).reshape(-1, NONCE_BYTES)
        seen = {role: value.hex() for role, value in read.items()}
        return Toss(nonce=self._nonce.hex(), **seen, leaves=leaves).encode(self._study)

    def open(self, tosses: Mapping[AnyRole, bytes]) -> bytes:
        """Learn which set is kept, and open all others.

        Nobody opens a set before all roles are known to go by the same commitments: a role that
        told its others different ones would have two of them keep different sets, and open
        together what a third one uses.

        Args:
            tosses: what `toss` of the other roles gave.

        Returns:
            The message for the parties.

        Raises:
            DepartureError: a role shows other sets than it had committed to, or had committed to
                different ones; names it.
            ProtocolError: a message is malformed, or comes before the commitments.
        """
        if not self._commitments:
            raise ProtocolError("nobody has committed to sets of the noise")
        count = len(self._attempts)
        nonces: dict[AnyRole, bytes] = {self._role: self._nonce}
        leaves: dict[AnyRole, Sequence[bytes]] = {self._role: self._own_leaves}
        for role, message in tosses.items():
            shown = Toss.decode(message, self._study)
            self._check_seen(role, shown)
            nonces[role] = bytes.fromhex(shown.nonce)
            leaves[role] = [row.tobytes() for row in shown.leaves]
            check_commitment(role, self._commitments[role], nonces[role], leaves[role], count)
        self._leaves = leaves
        self._kept = toss(nonces, count)
        return self._opened()

    def check(self, opened: Mapping[AnyRole, bytes]) -> None:
        """Compute all sets but the kept one again, and compare every message.

        Args:
            opened: what `open` of the other roles gave.

        Raises:
            DepartureError: a role did not follow the protocol in one of them; names it.
            ProtocolError: a message is malformed, or the sets have not been tossed for.
        """
        messages = {**opened, self._role: self._opened()}
        shown = {role: self._read(role, message) for role, message in messages.items()}
        for place, attempt in enumerate(self._checked):
            check_set(
                self._plan,
                attempt,
                {role: of_role[place] for role, of_role in shown.items()},
                {role: leaves[attempt.set] for role, leaves in self._leaves.items()},
                study_digest=self._study,
                checker=self._role,
            )
        self.passed = True

    @property
    def _checked(self) -> list[Attempt]:
        return [attempt for attempt in self._attempts if attempt.set != self.kept]

    def _shown(self, attempt: Attempt) -> Shown:
        return Shown(self._seeds[attempt.set], self.transcripts[attempt.set].digests)

    @property
    def _own_leaves(self) -> list[bytes]:
        return [leaf(self._role, attempt, self._shown(attempt)) for attempt in self._attempts]

    @property
    def _commitment(self) -> bytes:
        return commitment(self._role, self._nonce, self._own_leaves)

    def _committed(self, message: bytes) -> bytes:
        digest = Commitment.decode(message, self._study).digest
        if digest.shape != (1, NONCE_BYTES):
            raise ProtocolError("a commitment to sets of the noise has another size")
        return digest.tobytes()

    def _check_seen(self, sender: AnyRole, shown: Toss) -> None:
        """Check that a role goes by the same commitments as this one."""
        for role in ROLES:
            if getattr(shown, role) != self._commitments[role].hex():
                # Of its own, and of this role's, which came over a channel, it has none but this.
                alone = role in (sender, self._role)
                who = NAMES[sender] if alone else f"{NAMES[role]} or the {NAMES[sender]}"
                raise DepartureError(who, "told of different commitments to sets of the noise")

    def _opened(self) -> bytes:
        shown = [self._shown(attempt) for attempt in self._checked]
        names = message_names(self._role, self._plan)
        seeds = b"".join(one.seed for one in shown)
        digests = b"".join(one.digests[name] for one in shown for name in names)
        return OpenedSets(
            np.frombuffer(seeds, np.uint8).reshape(len(shown), -1),
            np.frombuffer(digests, np.uint8).reshape(len(shown), len(names), -1),
        ).encode(self._study)

    def _read(self, role: AnyRole, message: bytes) -> list[Shown]:
        """What a role shows of the sets that are opened."""
        opened = OpenedSets.decode(message, self._study)
        names = message_names(role, self._plan)
        sets = len(self._checked)
        if (opened.seeds.shape, opened.digests.shape) != ((sets, 32), (sets, len(names), 32)):
            raise DepartureError(NAMES[role], "shows sets of noise of another size than were drawn")
        return [
            Shown(seed.tobytes(), {n: d.tobytes() for n, d in zip(names, digests, strict=True)})
            for seed, digests in zip(opened.seeds, opened.digests, strict=True)
        ]
