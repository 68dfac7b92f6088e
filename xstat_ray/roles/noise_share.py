"""A party's share of the noise, which no role knows as a whole.

Laplace noise is drawn by both parties together, on shares (`noise.sampler`); of Gaussian noise each
role draws a share of its own; where noise is off the shares are zero. In every case a share is
fixed, and on disk, before anything depends on it.
"""

from __future__ import annotations

import io
from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from xstat_ray.crypto import channel
from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.packing import Packing
from xstat_ray.crypto.paillier import PublicKey
from xstat_ray.errors import ProtocolError
from xstat_ray.noise.shares import draw_gaussian_share, narrow, pack_shares
from xstat_ray.roles.joint_draw import JointDraw
from xstat_ray.roles.private_file import write_private
from xstat_ray.roles.seat import Seat

SHARE = "noise"
"""File in the private folder with the party's share of the noise."""


class NoiseShare(JointDraw):
    """Has a share of the noise of every coefficient.

    Where the noise is drawn jointly go through the steps of `JointDraw`; in any case call
    `keep_noise` then. All of it takes place in the party's first environment; `noise_of` hands the
    share to the others.
    """

    def __init__(self, seat: Seat) -> None:
        super().__init__(seat)
        self._noise: NDArray[np.int64] | None = None

    def _restore(self, secrets: Mapping[str, bytes]) -> None:
        super()._restore(secrets)
        self._noise = None

    @property
    @abstractmethod
    def _public(self) -> PublicKey:
        """The key under which the table is encrypted, or that of the first column party."""

    def _modulus(self, packing: Packing) -> mpz:
        """Modulo which what is opened is summed up: n, or B where there are several parties."""
        return packing.sum_modulus if self._study.opens_jointly else self._public.n

    def keep_noise(self) -> None:
        """Fix the party's share; it is in the private folder before this returns.

        A repeat changes nothing.

        Raises:
            ProtocolError: a part of the joint noise is not drawn yet, or its sets are not checked.
        """
        if self._noise is not None or self._load_share():
            return
        slots = self._study.slots
        if self._joint is not None:
            share = self._party_draw.share
        elif self._design.budget.noise == "gaussian":
            share = narrow(draw_gaussian_share(self._design, slots))
        else:
            share = narrow(np.zeros((self._design.shown, self._study.width), np.int64))
        self._keep_share(share)
        self._drawing = None

    def _keep_share(self, share: NDArray[np.int64]) -> None:
        """Take the share, and write it into the private folder, where there is one."""
        if self._folder is not None:
            content = io.BytesIO()
            np.save(content, share)
            kept = {"session": self.session().encode(), "share": content.getvalue()}
            write_private(self._folder, SHARE, channel.pack_fields(kept))
        self._noise = share

    def _load_share(self) -> bool:
        """Read the share from the private folder; tells whether that of this session was there.

        One of another session is not this party's share of what both draw now.
        """
        if self._folder is None or not (self._folder / SHARE).exists():
            return False
        kept = channel.unpack_fields((self._folder / SHARE).read_bytes())
        if kept["session"].decode() != self.session():
            return False
        self._noise = np.load(io.BytesIO(kept["share"]))
        return True

    def noise_of(self, nodes: range, packing: Packing) -> bytes:
        """Seal the share of some nodes for this party's environments.

        Raises:
            ProtocolError: the noise has not been drawn.
        """
        if self._noise is None and not self._load_share():
            raise ProtocolError("the noise has not been drawn")
        assert self._noise is not None
        modulus = self._modulus(packing)
        share = self._noise[:, nodes.start : nodes.stop]
        numbers = [number % modulus for number in pack_shares(share, packing)]
        packed = to_rows(numbers, self._public.width // 2).tobytes()
        return self._within.seal(packed, _purpose_of(nodes))

    def _noise_in(self, sealed: bytes, nodes: range) -> list[mpz]:
        """Open what `noise_of` of the party's first environment gave: numbers."""
        packed = self._within.open(sealed, _purpose_of(nodes))
        width = self._public.width // 2
        return from_rows(np.frombuffer(packed, np.uint8).reshape(-1, width))


def _purpose_of(nodes: range) -> str:
    return f"noise of nodes {nodes.start} to {nodes.stop}"
