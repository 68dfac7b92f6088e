"""The row party's consent to open a table, as a column party reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gmpy2 import mpz

from xstat_ray.crypto.channel import pack_fields, unpack_fields
from xstat_ray.errors import ProtocolError
from xstat_ray.model.messages import Approval, JointApproval
from xstat_ray.roles.opening import joint_digest, joint_release_id, release_id

_DIGEST_BYTES = 32


class Consent(NamedTuple):
    """To the opening of one table, checked against the session but not yet against the table."""

    release: str
    digest: bytes
    """Of the masked table under the key of whoever reads this."""
    commitment: bytes
    """What the row party is bound to: the seed of its masks, or of their sums."""
    head: str
    witnessed: str
    opened: bytes
    """Digest of all that is opened for the release: with one column party that table's."""

    @classmethod
    def of(cls, approval: Approval, session: str) -> Consent:
        """Read the consent to open the table of the only column party.

        Args:
            approval: what the row party sent.
            session: name of the session with it.

        Raises:
            ProtocolError: it is of another session, or malformed.
        """
        digest = approval.digest.tobytes()
        sizes = approval.digest.shape, approval.commitment.shape
        formed = release_id(session, digest)
        if sizes != ((1, _DIGEST_BYTES),) * 2 or approval.release != formed:
            raise _other_release()
        heads = approval.head, approval.witnessed
        return cls(formed, digest, approval.commitment.tobytes(), *heads, opened=digest)

    @classmethod
    def of_joint(
        cls, approval: JointApproval, sessions: Sequence[str], place: int, parties: int
    ) -> Consent:
        """Read the consent to open the tables of all column parties.

        Args:
            approval: what a row party sent.
            sessions: names of the sessions with the row party, or with every one.
            place: of the reader among the column parties, from 0.
            parties: number of column parties.

        Raises:
            ProtocolError: it is of another session, of another study, or malformed.
        """
        shapes = approval.sessions.shape, approval.tables.shape
        if shapes != ((parties, len(sessions) * _DIGEST_BYTES), (parties, _DIGEST_BYTES)):
            raise _other_release()
        formed = joint_release_id(approval.sessions.tobytes(), approval.tables.tobytes())
        mine = approval.sessions[place].tobytes().hex()
        if mine != "".join(sessions) or approval.release != formed:
            raise _other_release()
        commitment = bytes.fromhex(approval.commitment)
        digest = approval.tables[place].tobytes()
        opened = joint_digest(approval.tables.tobytes())
        return cls(formed, digest, commitment, approval.head, approval.witnessed, opened)

    @property
    def terms(self) -> str:
        """What a column party holds the row party to."""
        return f"{self.digest.hex()} {self.commitment.hex()}"


class Permit(NamedTuple):
    """What a party's first environment tells its others of a table that was admitted."""

    release: str
    digest: bytes
    commitment: bytes
    head: str
    """Head of the party's ledger, which has debited the release."""
    witnessed: str
    """Heads that the party recorded of the row party's ledger in other sessions."""
    sum_bits: int
    """B is this power of two (`Packing.sum_modulus`)."""

    @property
    def sum_modulus(self) -> mpz:
        """B, modulo which what several column parties open is added up."""
        return mpz(1) << self.sum_bits

    def encode(self) -> bytes:
        """Encode it, to be sealed."""
        return pack_fields(
            {
                "release": self.release.encode(),
                "digest": self.digest,
                "commitment": self.commitment,
                "head": self.head.encode(),
                "witnessed": self.witnessed.encode(),
                "sum bits": str(self.sum_bits).encode(),
            }
        )

    @classmethod
    def decode(cls, data: bytes) -> Permit:
        """Reverse `encode`."""
        parts = unpack_fields(data)
        return cls(
            release=parts["release"].decode(),
            digest=parts["digest"],
            commitment=parts["commitment"],
            head=parts["head"].decode(),
            witnessed=parts["witnessed"].decode(),
            sum_bits=int(parts["sum bits"]),
        )


def _other_release() -> ProtocolError:
    return ProtocolError("the row party's approval is of another release")
