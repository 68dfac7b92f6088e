"""Dummies that do not hide a person: left out of a shard, or the same in two views."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.adversary.planted.patches import replace_everywhere
from xstat_ray.crypto.tags import dummy_tags, tags
from xstat_ray.model.shards import Shard
from xstat_ray.privacy.padding import Padding
from xstat_ray.roles.blinding import Blinding
from xstat_ray.roles.dummies import FlagDummies, RowDummies


def left_out_of_the_first_shard(patch: pytest.MonkeyPatch) -> None:
    """Send no dummies among the rows of shard 0."""
    honest = RowDummies.of_shard

    def of_shard(
        self: RowDummies, keys: Sequence[bytes], shard: Shard
    ) -> tuple[list[NDArray[np.uint8]], NDArray[np.uint32]]:
        of_keys, cell = honest(self, keys, shard)
        if shard.number == 0:
            return [tag[:0] for tag in of_keys], cell[:0]
        return of_keys, cell

    patch.setattr(RowDummies, "of_shard", of_shard)


def as_many_flags_in_every_batch(patch: pytest.MonkeyPatch) -> None:
    """Let every batch have as many dummy flags that are not met as the first has."""
    honest = FlagDummies.draw

    def draw(padding: Padding) -> NDArray[np.int64]:
        drawn = honest(padding)
        drawn[:] = drawn[0]
        return drawn

    patch.setattr(FlagDummies, "draw", staticmethod(draw))


def from_the_same_seed(patch: pytest.MonkeyPatch) -> None:
    """Draw the same numbers of dummies, and the same order of cells, in every release."""
    for kind in (RowDummies, FlagDummies):
        patch.setattr(kind, "draw", staticmethod(_kept(kind.draw)))
    honest = Blinding.__init__
    patch.setattr(Blinding, "__init__", lambda self, tree, _: honest(self, tree, bytes(32)))


def _kept(honest: Callable[[Padding], NDArray[np.int64]]) -> Callable[[Padding], NDArray[np.int64]]:
    kept: dict[str, NDArray[np.int64]] = {}

    def draw(padding: Padding) -> NDArray[np.int64]:
        return kept.setdefault(repr(padding), honest(padding))

    return draw


def under_the_same_tag_key(patch: pytest.MonkeyPatch) -> None:
    """Make the tags of all views under one key; person keys are new in every exchange."""
    for honest in (tags, dummy_tags):
        replace_everywhere(patch, honest, _with_one_key(honest))


def _with_one_key(honest: Callable[..., NDArray[np.uint8]]) -> Callable[..., NDArray[np.uint8]]:
    return lambda key, *rest: honest(bytes(len(key)), *rest)


def none_for_rows_of_two_parties(patch: pytest.MonkeyPatch) -> None:
    """Send no rows that meet dummy flags of several column parties."""
    honest = RowDummies.draw

    def draw(padding: Padding) -> NDArray[np.int64]:
        drawn = honest(padding)
        drawn[padding.meets.sum(axis=1) > 1] = 0
        return drawn

    patch.setattr(RowDummies, "draw", staticmethod(draw))
