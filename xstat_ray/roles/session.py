"""One party's session with the other: the handshake, its secrets, and replicas that share them.

All of it is secret but the messages that methods return for the other party.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from xstat_ray.crypto import channel
from xstat_ray.crypto.handshake import Handshake, Hello, SharedSecrets
from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.inputs.normal_forms import libraries
from xstat_ray.model.parties import ColumnTerms
from xstat_ray.model.study import Role, Study
from xstat_ray.roles.private_file import write_private
from xstat_ray.roles.seat import Seat
from xstat_ray.util.secrecy import Secret
from xstat_ray.util.software_digest import software_digest

_PARTY = b"xstat-ray column party of a study\0"
_PARTIES = b"xstat-ray row party and column party of a study\0"
SECRETS = "secrets"
"""File in the party's private folder that holds the secrets which a resumed run needs."""


class Session(Secret):
    """The handshake between the parties, and the secrets that come of it.

    Call `hello`, `agree` and `confirm`, in this order. A replica, another environment of the same
    party, calls `offer` and `accept` instead, and so has the secrets of the instance whose
    `hand_over` it accepts.
    """

    role: ClassVar[Role]
    other: ClassVar[Role]

    def __init__(self, seat: Seat) -> None:
        """Begin a handshake, in which the digest of the study is compared.

        Raises:
            ProtocolError: the study names no such party, or several column parties and the seat
                none.
        """
        study = seat.study
        row = seat.row
        self._study = study
        self._terms = terms_of(study, seat.party)
        self._row_terms = study.row_parties[0] if row is None else study.row_terms_of(row)
        self._seed = seat.seed
        agreed = _agreed_digest(study, self._terms.name, self._row_terms.name)
        self._libraries = libraries(study)
        self._told_libraries = self._libraries
        """What the other party was told, perhaps by another environment or an earlier step."""
        self._handshake: Handshake | None = Handshake(
            self.role, agreed, software_digest(), self._libraries
        )
        self._replica: channel.HandOver | None = None
        self._shared: SharedSecrets | None = None
        self._digest = ""
        self._folder: Path | None = None
        """The private folder, once the secrets are in it."""
        self._settled: dict[str, str] = {}
        self._first = True
        """Whether this is the party's first environment, and no replica."""

    @property
    def party(self) -> str:
        """Name of the column party with which, or as which, this session is held."""
        return self._terms.name

    @property
    def row_party(self) -> str:
        """Name of the row party with which, or as which, this session is held."""
        return self._row_terms.name

    # Handshake

    def hello(self) -> bytes:
        """Encode the opening message of the handshake, for the other party."""
        if self._handshake is None:
            raise ProtocolError("a replica has no handshake of its own")
        return self._handshake.hello.encode()

    def agree(self, peer: bytes) -> bytes:
        """Take the other party's hello, and return the confirmation to send back."""
        if self._handshake is None:
            raise ProtocolError("the handshake is over")
        mine = self._handshake.hello.encode()
        self._shared = self._handshake.agree(Hello.decode(peer))
        self._handshake = None
        self._digest = session_of(*((mine, peer) if self.role == "row" else (peer, mine)))
        return self._shared.confirm(self.role)

    def confirm(self, confirmation: bytes) -> None:
        """Check that the other party holds the same keys.

        Raises:
            ProtocolError: it does not.
        """
        self._agreed.check_confirmation(self.other, confirmation)

    def session(self) -> str:
        """Name the session: the public digest of both parties' hellos, 64 hexadecimal digits."""
        if not self._digest:
            raise ProtocolError("the handshake has not taken place")
        return self._digest

    def _settle(self, name: str, value: str) -> None:
        """Fix a value for the whole session; it is in the private folder before this returns.

        Only the party's first environment fixes one: others do not know what it has fixed.

        Raises:
            ProtocolError: another value was fixed before, or this is another environment.
        """
        if not self._first:
            raise ProtocolError(
                f"a table is {name} in the first environment of the {self.role} party alone"
            )
        known = self._remembered(name)
        if known is None:
            self._remember(name, value)
        elif known != value:
            raise ProtocolError(f"another table was {name} before in this session")

    def _remember(self, name: str, value: str) -> None:
        """Remember a value for this session; it is in the private folder before this returns."""
        kept = f"{self.session()} {value}"
        if self._folder is not None:
            write_private(self._folder, name, kept.encode())
        self._settled[name] = kept

    def _remembered(self, name: str) -> str | None:
        """The value that was remembered in this session, None if none was."""
        path = None if self._folder is None else self._folder / name
        if path is not None and path.exists():
            self._settled[name] = path.read_text()
        session, _, value = self._settled.get(name, "").partition(" ")
        return value if session == self.session() else None

    @property
    def _agreed(self) -> SharedSecrets:
        if self._shared is None:
            raise ProtocolError("the handshake has not taken place")
        return self._shared

    def _channel(self, sender: Role) -> channel.Channel:
        """Return the channel on which a party sends to the other."""
        return channel.Channel(self._agreed.salt + self._agreed.tag_key, sender)

    @property
    def _within(self) -> channel.Channel:
        """The channel among this party's own environments, which the other party cannot open."""
        return channel.Channel(self._seed, f"environments of the {self.role} party")

    # Replicas, and runs that are resumed

    def offer(self) -> bytes:
        """Make this object a replica, and return the key to which its secrets are to be sealed."""
        self._handshake = None
        self._first = False
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

    def save(self, folder: Path) -> None:
        """Write the secrets that a resumed run needs into the private folder (mode 0600)."""
        write_private(folder, SECRETS, channel.pack_fields(self._export()))
        self._folder = folder

    def load(self, folder: Path) -> None:
        """Read back what `save` wrote: a handshake under way, or the secrets that came of it."""
        self._restore(channel.unpack_fields((folder / SECRETS).read_bytes()))
        self._folder = folder

    def _check_libraries(self) -> None:
        """Check that ids, periods and values are written here as the other party was told.

        Raises:
            InputError: a library has another version than in the environment, or at the time, of
                the handshake.
        """
        told = self._told_libraries
        here = self._libraries
        different = [
            f"{name}: {told.get(name, 'none')} then, {here.get(name, 'none')} here"
            for name in sorted(told.keys() | here.keys())
            if told.get(name) != here.get(name)
        ]
        if different:
            raise InputError(
                f"the {self.role} party's environment has other versions of what ids, periods and "
                f"values are written with than when it shook hands ({'; '.join(different)})",
                remedy="Install those of then, alike in all of the party's environments, and run "
                "the same command again; or begin a new run",
            )

    def _export(self) -> dict[str, bytes]:
        listed = "\n".join(f"{name}={version}" for name, version in self._told_libraries.items())
        secrets = {"seed": self._seed, "libraries": listed.encode()}
        if self._handshake is not None:
            return secrets | {"handshake": self._handshake.export_bytes()}
        return secrets | {
            "shared": self._agreed.export_bytes(),
            "session": bytes.fromhex(self._digest),
        }

    def _restore(self, secrets: Mapping[str, bytes]) -> None:
        self._seed = secrets["seed"]
        lines = [line.partition("=") for line in secrets["libraries"].decode().splitlines()]
        self._told_libraries = {name: version for name, _, version in lines}
        waiting = secrets.get("handshake")
        self._handshake = None if waiting is None else Handshake.from_bytes(waiting)
        self._shared = None if waiting is not None else SharedSecrets.from_bytes(secrets["shared"])
        self._digest = "" if waiting is not None else secrets["session"].hex()


def session_of(row_hello: bytes, column_hello: bytes) -> str:
    """Name the session that begins with two hellos: their digest, 64 hexadecimal digits."""
    return hashlib.sha256(b"xstat-ray session\0" + row_hello + column_hello).hexdigest()


def terms_of(study: Study, party: str | None) -> ColumnTerms:
    """Find the terms of a column party, of the only one where none is named.

    Raises:
        ProtocolError: the study names no such party, or several and none is given.
    """
    if party is not None:
        return study.terms_of(party)
    if len(study.column_parties) > 1:
        raise ProtocolError("the study names several column parties: say which one")
    return study.column_parties[0]


def _agreed_digest(study: Study, party: str, row: str) -> bytes:
    """What both ends of a handshake must have agreed on: the study, and which parties are meant."""
    if study.row.parties:
        names = f"{row}\0{party}".encode()
        return hashlib.sha256(_PARTIES + study.digest + names).digest()
    if not study.column.parties:
        return study.digest
    return hashlib.sha256(_PARTY + study.digest + party.encode()).digest()
