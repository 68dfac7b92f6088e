"""What the two parties have in common: handshake, ID exchange, and handing secrets to a replica."""

from __future__ import annotations

import json
import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from xstat_ray.crypto import channel, group
from xstat_ray.crypto.derive import keyed_words
from xstat_ray.crypto.group import PERSON_KEY_BYTES
from xstat_ray.crypto.handshake import Handshake, Hello, SharedSecrets
from xstat_ray.crypto.kernels.choice import kernel
from xstat_ray.crypto.tags import tags
from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.inputs.tables import input_digest
from xstat_ray.model.messages import Points
from xstat_ray.model.shards import ShardGrid
from xstat_ray.model.study import Role, Study
from xstat_ray.privacy.padding import Padding
from xstat_ray.privacy.views import count_view
from xstat_ray.roles import kept_keys
from xstat_ray.roles.dummies import Dummies
from xstat_ray.roles.intake import IntakeCounts
from xstat_ray.util.files import unwritable, write_whole
from xstat_ray.util.secrecy import Secret
from xstat_ray.util.software_digest import software_digest

SECRETS = "secrets"
"""File of a party's own folder."""


class Party(Secret):
    """One party inside its isolated environment.

    Use in this order:
    `hello`, `agree`, `confirm`; `intake`; `blind`, (the other's `evaluate`), `finish`; then the
    subclass's `emit`. A replica starts with `offer`, `accept` in place of the handshake.
    """

    role: ClassVar[Role]
    other: ClassVar[Role]
    divided: ClassVar[bool]
    """Whether several environments divide the persons among them; otherwise each is a copy that
    holds all."""
    padded: ClassVar[type[Dummies]]
    """The dummies that this party sends, where the study asks for them."""

    def __init__(
        self,
        study: Study,
        table: Path | str,
        exclude: Sequence[Path | str] = (),
        *,
        skip_damaged: bool = False,
    ) -> None:
        """Nothing is read yet: `table` and `exclude` (tables of people to leave out) are paths.

        With `skip_damaged`, files of the table that cannot be read are left out; never those of
        `exclude`.
        """
        self._study = study
        self._table = table
        self._exclude = exclude
        self._skip_damaged = skip_damaged
        self._set_aside = tuple[InputError, ...]()
        self._seed = os.urandom(32)
        self._scalar = group.random_scalar()
        self._handshake: Handshake | None = Handshake(self.role, study.digest, software_digest())
        self._replica: channel.HandOver | None = None
        self._shared: SharedSecrets | None = None
        self._ids: NDArray[np.bytes_] = np.zeros(0, "S1")
        self._order: NDArray[np.int64] = np.zeros(0, np.int64)
        self._known: NDArray[np.bool_] = np.zeros(0, bool)
        self._person_keys: NDArray[np.uint8] | None = None
        self._drawn: bytes | None = None

    @property
    @abstractmethod
    def counts(self) -> IntakeCounts:
        """What became of the rows of the table, as far as they have been read."""

    # Handshake

    def hello(self) -> bytes:
        """The encoded opening message of the handshake."""
        if self._handshake is None:
            raise ProtocolError("a replica has no handshake of its own")
        return self._handshake.hello.encode()

    def agree(self, peer: bytes) -> bytes:
        """Take the other party's hello; returns the confirmation to send back."""
        if self._handshake is None:
            raise ProtocolError("the handshake is over")
        self._shared = self._handshake.agree(Hello.decode(peer))
        self._handshake = None
        return self._shared.confirm(self.role)

    def confirm(self, confirmation: bytes) -> None:
        """Check that the other party holds the same keys.

        Raises:
            ProtocolError: it does not.
        """
        self._agreed.check_confirmation(self.other, confirmation)

    @property
    def _agreed(self) -> SharedSecrets:
        if self._shared is None:
            raise ProtocolError("the handshake has not taken place")
        return self._shared

    # Replicas

    def offer(self) -> bytes:
        """Make this object a replica: returns the key to which the first instance seals its secrets."""
        self._handshake = None
        self._replica = channel.HandOver()
        return self._replica.offer

    def hand_over(self, offer: bytes) -> bytes:
        """Seal this party's secrets to a replica of the same party."""
        return channel.hand_over(offer, self._export())

    def accept(self, sealed: bytes) -> None:
        """Take the secrets that were sealed to this replica."""
        if self._replica is None:
            raise ProtocolError("this party is not a replica")
        self._restore(self._replica.open(sealed))
        self._replica = None

    def _export(self) -> dict[str, bytes]:
        own = {"seed": self._seed, "scalar": self._scalar}
        if self._handshake is not None:
            return own | {"handshake": self._handshake.export_bytes()}
        return own | {"shared": self._agreed.export_bytes()}

    def _restore(self, secrets: Mapping[str, bytes]) -> None:
        self._seed = secrets["seed"]
        self._scalar = secrets["scalar"]
        waiting = secrets.get("handshake")
        self._handshake = None if waiting is None else Handshake.from_bytes(waiting)
        self._shared = None if waiting is not None else SharedSecrets.from_bytes(secrets["shared"])

    def save(self, folder: Path) -> None:
        """Write the secrets that a resumed run needs into the party's own folder, readable by the owner only."""
        _write_own(folder, SECRETS, channel.pack_fields(self._export()))

    def load(self, folder: Path) -> None:
        """Read back what `save` wrote: the handshake that was under way, or its result, enough to finish a release."""
        self._restore(channel.unpack_fields((folder / SECRETS).read_bytes()))

    # ID exchange

    @property
    def persons(self) -> int:
        """Number of distinct persons of this environment; the other party learns it."""
        return len(self._ids)

    def _take_persons(self, ids: NDArray[np.bytes_], first: int = 0) -> None:
        """Take the persons, by number, and draw the secret order in which they are exchanged.

        Args:
            ids: (P,) normalised ids.
            first: number of the first one among all of the party, where several environments divide
                them.
        """
        numbers = np.arange(first, first + len(ids), dtype=np.uint32)
        self._ids = ids
        self._order = np.argsort(
            keyed_words(self._seed, "order of persons", numbers), kind="stable"
        )
        self._known = np.zeros(len(ids), bool)
        self._person_keys = np.zeros((len(ids), PERSON_KEY_BYTES), np.uint8)

    def recall(self, folder: Path) -> int:
        """Take up the keys that `finish` kept in the party's own folder.

        Returns how many persons are to be exchanged.

        Raises:
            ProtocolError: what was kept is not of this release, or was altered.
        """
        self._known, self._person_keys = kept_keys.read(folder, self._own_channel, self._ids)
        self._order = self._order[~self._known[self._order]]
        self._forget_ids()
        return len(self._order)

    def blind(self, part: range) -> bytes:
        """Persons `part` (of those to be exchanged), hashed to the group and blinded, sealed for the other party."""
        salt = self._agreed.salt
        ids = self._ids[self._order[part.start : part.stop]].tolist()
        own = group.hash_to_group([salt + one for one in ids], group.PERSON_DST)
        return self._seal(Points(group.multiply(self._scalar, own)), f"blinded {part}")

    def evaluate(self, sealed: bytes, part: range) -> bytes:
        """Multiply the other party's blinded points by the own scalar, in the order in which they came.

        Raises:
            ProtocolError: altered message, or a point that is invalid or the identity.
        """
        points = self._open(sealed, f"blinded {part}").points
        return self._seal(Points(group.multiply(self._scalar, points)), f"evaluated {part}")

    def finish(
        self, sealed: Sequence[bytes], parts: Sequence[range], folder: Path | None = None
    ) -> None:
        """Take back own points, multiplied by both scalars: they become the keys of the persons.

        Args:
            sealed: what the other party returned.
            parts: of the persons, as they were blinded; the others may follow later.
            folder: the party's own, where the keys are kept, sealed, for a run that takes up this
                release.

        Raises:
            ProtocolError: altered message, invalid points, or another number than was sent.
            InputError: the folder cannot be written to.
        """
        for message, part in zip(sealed, parts, strict=True):
            points = self._open(message, f"evaluated {part}").points
            if len(points) != len(part):
                raise ProtocolError(
                    "the other party returned another number of points than it was sent"
                )
            group.validate(points)
            own = self._order[part.start : part.stop]
            self._keys[own] = group.person_keys(points)
            self._known[own] = True
        if folder is not None and parts:
            own = np.concatenate([self._order[part.start : part.stop] for part in parts])
            kept_keys.write(folder, self._own_channel, self._ids[own], self._keys[own])
        self._forget_ids()

    def _forget_ids(self) -> None:
        """Once all persons have their keys, nobody needs to know who they are."""
        if self._known.all():
            self._ids = np.zeros(self.persons, "S1")
            self._order = np.zeros(0, np.int64)

    @property
    def _keys(self) -> NDArray[np.uint8]:
        if self._person_keys is None:
            raise ProtocolError("the intake has not taken place")
        return self._person_keys

    def _tags(self, person: NDArray[np.int32], period: NDArray[np.uint32]) -> NDArray[np.uint8]:
        if self._person_keys is None or not self._known.all():
            raise ProtocolError("the ID exchange has not taken place")
        return tags(self._agreed.tag_key, self._person_keys, person, period)

    # Padding

    def draw(self, grid: ShardGrid) -> bytes | None:
        """How many dummies there are, sealed for all environments of this party.

        None where the study has no padding.

        Drawn once in a release, by one environment: two draws for one count could be averaged. A
        repeat gives the same.
        """
        padding = Padding.of_study(self._study, grid)
        if padding is not None and self._drawn is None:
            drawn = self.padded.draw(padding).astype("<i8")
            self._drawn = self._channel(self.role).seal(drawn.tobytes(), _numbers_of(grid))
        return self._drawn

    def count_view(self, ledger: Path, view: str) -> None:
        """Record in the party's ledger that the pool is about to see its table, where the study has padding.

        Raises:
            BudgetError: the pool has learnt as much as it may; nothing may be handed out.
        """
        if self._study.privacy.padding == "dp":
            count_view(ledger, self._study, view)

    def _numbers(
        self, grid: ShardGrid, drawn: bytes | None
    ) -> tuple[Padding, NDArray[np.int64]] | None:
        """The study's padding and what the party's first environment drew for it.

        None where there is none.

        Raises:
            ProtocolError: it is missing, altered, or was drawn for another cut into shards.
        """
        padding = Padding.of_study(self._study, grid)
        if padding is None:
            return None
        if drawn is None:
            raise ProtocolError("the study's padding was not drawn")
        return padding, np.frombuffer(
            self._channel(self.role).open(drawn, _numbers_of(grid)), "<i8"
        )

    def _seal(self, message: Points, purpose: str) -> bytes:
        return self._channel(self.role).seal(message.encode(self._study.digest), purpose)

    def _open(self, sealed: bytes, purpose: str) -> Points:
        return Points.decode(self._channel(self.other).open(sealed, purpose), self._study.digest)

    @property
    def _own_channel(self) -> channel.Channel:
        """For what a party tells itself across runs of one release."""
        return channel.Channel(self._seed, self.role)

    def _channel(self, sender: Role) -> channel.Channel:
        return channel.Channel(self._agreed.salt + self._agreed.tag_key, sender)

    # The party's own record

    def kernel(self) -> str:
        """Name of the kernel that computes in this environment."""
        return kernel().name

    def report(self) -> bytes:
        """The intake counts of this environment, sealed for the one that writes the party's record."""
        return self._channel(self.role).seal(
            json.dumps(self.counts.as_dict()).encode(), "intake counts"
        )

    def record(self, folder: Path, reports: Sequence[bytes]) -> None:
        """Write the intake counts of all environments into the party's own folder.

        They are not shared with anyone.
        """
        opened = [
            json.loads(self._channel(self.role).open(report, "intake counts")) for report in reports
        ]
        counts = {name: sum(one[name] for one in opened) for name in opened[0]}
        aside = [{"file": error.file, "problem": str(error)} for error in self._set_aside]
        text = (
            json.dumps(
                {"party": self.role, **counts, "set_aside": aside, **self._own_facts()}, indent=2
            )
            + "\n"
        )
        _write_own(folder, "intake.json", text.encode())

    def _own_facts(self) -> dict[str, Any]:
        """What else the party's record says of its table."""
        return {}

    def damaged_files(self) -> int:
        """How many files of the table were left out, which the party's record names."""
        return len(self._set_aside)

    def replica_digest(self) -> str:
        """Keyed hash on which all environments of the party must agree after the intake: they read the same table."""
        return self.input_digest()

    def input_digest(self) -> str:
        """Keyed hash of the party's input: equal inputs of one release are recognised by the party, by no one else."""
        return input_digest(self._table, self._seed)


def _numbers_of(grid: ShardGrid) -> str:
    return f"numbers of dummies for {len(grid.regions)} regions and {len(grid.batches)} batches"


def _write_own(folder: Path, name: str, content: bytes) -> None:
    """Write a file that only the party's own user may read.

    Raises:
        InputError: the disk is full, or the folder cannot be written to.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(folder / name, content, mode=0o600)
    except OSError as error:
        raise unwritable(folder, error) from None
