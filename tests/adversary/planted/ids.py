"""Ids of sessions and releases that repeat, as if somebody else had chosen them."""

from __future__ import annotations

import pytest

from tests.adversary.planted.patches import replace_everywhere
from xstat_ray.roles.opening import release_id
from xstat_ray.roles.session import Session


def session(self: Session) -> str:
    """Name every session alike."""
    return "00" * 32 if self.role else ""


def of_releases(patch: pytest.MonkeyPatch) -> None:
    """Give all releases one id."""
    replace_everywhere(patch, release_id, lambda *_: "00" * 16)


def of_sessions(patch: pytest.MonkeyPatch) -> None:
    """Give all sessions one name."""
    patch.setattr(Session, "session", session)
