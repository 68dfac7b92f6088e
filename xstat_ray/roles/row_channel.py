"""The sealed channel between the first row party and another one.

The first row party draws the secret order of cells in which all send their rows, and tells the
others what it approves. It is a handshake as of two column parties, with a label of its own.
"""

from __future__ import annotations

from typing import ClassVar

from xstat_ray.roles.residue_channel import ResidueChannel


class RowChannel(ResidueChannel):
    """One end of it; see `ResidueChannel`."""

    LABEL: ClassVar[bytes] = b"xstat-ray v1 row parties\0"
    ENDS: ClassVar[str] = "row parties"
