"""The row party's end of its link with one column party, whose key it checks."""

from __future__ import annotations

from collections.abc import Mapping

from xstat_ray.crypto.paillier import PublicKey
from xstat_ray.errors import ProtocolError
from xstat_ray.model.messages import Coefficients
from xstat_ray.roles.link import Link
from xstat_ray.roles.opening import checked_key
from xstat_ray.roles.seat import Seat


class RowLink(Link):
    """One of the row party's links: session, person keys and tag key, and the other one's key."""

    role = "row"
    other = "column"

    def __init__(self, seat: Seat) -> None:
        super().__init__(seat)
        self._key = b""
        """The column party's public key with its proof, once it has been checked."""

    def _export(self) -> dict[str, bytes]:
        return super()._export() | {"key": self._key}

    def _restore(self, secrets: Mapping[str, bytes]) -> None:
        super()._restore(secrets)
        self._key = secrets["key"]

    def accept_key(self, proven: bytes) -> None:
        """Check the column party's public key and the proof that comes with it.

        Raises:
            ProtocolError: with this key a mask might not hide what is under it.
        """
        checked_key(proven)
        self._key = proven

    @property
    def _public(self) -> PublicKey:
        if not self._key:
            raise ProtocolError("the row party has no key to encrypt masks with")
        return checked_key(self._key)

    def show_coefficients(self, coefficients: Coefficients) -> bytes:
        """Show the column party the published coefficients, in declared order, sealed for it."""
        return self._seal("coefficients", coefficients)
