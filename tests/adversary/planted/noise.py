"""Noise that somebody knows: it is all of one role, or the dealer reads what the parties open."""

from __future__ import annotations

import numpy as np
import pytest

from tests.adversary.planted.patches import replace_everywhere
from xstat_ray.crypto.channel import Channel
from xstat_ray.model.study import Role
from xstat_ray.noise.shares import narrow
from xstat_ray.privacy.design import Design
from xstat_ray.roles.aggregator import draw_share
from xstat_ray.roles.noise_share import NoiseShare


def all_of_one_party(patch: pytest.MonkeyPatch, role: Role) -> None:
    """Let one party draw all the noise by itself; everybody else's shares are zero."""
    _drawn_by(patch, role)
    replace_everywhere(patch, draw_share, lambda *_: None)


def all_of_the_aggregator(patch: pytest.MonkeyPatch) -> None:
    """Let the aggregator draw all the noise; the parties' shares are zero."""
    _drawn_by(patch, None)
    replace_everywhere(patch, draw_share, Design.draw)


def _drawn_by(patch: pytest.MonkeyPatch, role: Role | None) -> None:
    """Let the share of this party be all the noise, and that of the other, or both, be zero."""

    def keep_noise(self: NoiseShare) -> None:
        drawn = self._design.draw(self._study.slots)
        self._keep_share(narrow(drawn if self.role == role else np.zeros_like(drawn)))

    patch.setattr(NoiseShare, "keep_noise", keep_noise)


def not_sealed(patch: pytest.MonkeyPatch) -> None:
    """Send what the parties send each other as it is."""
    patch.setattr(Channel, "seal", lambda self, message, purpose: message)
    patch.setattr(Channel, "open", lambda self, sealed, purpose: sealed)
