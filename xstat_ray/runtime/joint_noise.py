"""The draw of the noise in one cluster: the driver deals, and carries what it cannot read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from xstat_ray.crypto.channel import hand_over
from xstat_ray.noise.bits import SEED_BYTES
from xstat_ray.noise.covert import CovertCheck
from xstat_ray.noise.draw import Dealing
from xstat_ray.planning.plan import Plan
from xstat_ray.roles import RowParty
from xstat_ray.roles.joint_draw import JointDraw
from xstat_ray.roles.noise_share import NoiseShare
from xstat_ray.runtime.executor import ROLES, Executor, Instance, Ref
from xstat_ray.runtime.progress import Progress


def draw_noise(executor: Executor, plan: Plan, progress: Progress) -> None:
    """Lead the parties through the draw of the noise, so that each has a share of it.

    Each party's share is in its private folder, where it has one, before this returns.

    Raises:
        DepartureError: the study has the draw checked, and a role did not follow the protocol.
    """
    sharers = [executor.row[0], executor.column[0]]
    sets = plan.study.privacy.checked
    parts = 0 if plan.noise is None else sets * len(plan.noise.parts)
    with progress.stage("noise", parts) as stage:
        if plan.noise is not None:
            session = executor.get(executor.row[0].call(RowParty.session))
            digest = plan.study.digest
            secret = os.urandom(SEED_BYTES)
            dealing = Dealing(plan.noise, session, sets, seed=secret, study_digest=digest)
            key = _deal_seeds(executor, sharers, dealing)
            for number in dealing.numbers:
                deal = dealing.deal(number).encode(digest)
                _draw_part(executor, sharers, number, hand_over(key, {"deal": deal}))
                stage.advance()
            if sets > 1:
                _check_sets(executor, sharers, dealing.check)
        executor.get_all([first.call(NoiseShare.keep_noise) for first in sharers])


def _deal_seeds(
    executor: Executor, sharers: Sequence[Instance[NoiseShare]], dealing: Dealing
) -> bytes:
    """Deal the seeds, each sealed to its party; returns the key of the column party."""
    keys = {}
    for role, first in zip(ROLES, sharers, strict=True):
        keys[role] = executor.get(first.call(JointDraw.dealing_key))
        sealed = hand_over(keys[role], {"seed": dealing.export_seeds(role)})
        executor.get(first.call(JointDraw.accept_deal, sealed))
    return keys["column"]


def _draw_part(
    executor: Executor, sharers: Sequence[Instance[NoiseShare]], number: int, deal: bytes
) -> None:
    """Carry the openings of one part, round after round."""
    row, column = sharers
    of_row: Ref[Any] = row.call(JointDraw.begin_noise, number)
    of_column: Ref[Any] = column.call(JointDraw.begin_noise, number, deal)
    turn = 0
    while executor.get(of_row) is not None:
        of_row, of_column = (
            row.call(JointDraw.advance_noise, number, turn, of_column),
            column.call(JointDraw.advance_noise, number, turn, of_row),
        )
        turn += 1
    executor.get(of_column)


def _check_sets(
    executor: Executor, sharers: Sequence[Instance[NoiseShare]], aggregator: CovertCheck
) -> None:
    """Lead all roles through the covert check (`protocol.check_sets`)."""
    row, column = sharers
    committed = executor.get_all([one.call(JointDraw.commit_noise) for one in sharers])
    of_aggregator = aggregator.commit()
    toss = aggregator.toss(dict(zip(ROLES, (one.plain for one in committed), strict=True)))
    tossed = executor.get_all(
        [
            row.call(JointDraw.toss_noise, committed[1].sealed, of_aggregator),
            column.call(JointDraw.toss_noise, committed[0].sealed, of_aggregator),
        ]
    )
    sets = aggregator.open(dict(zip(ROLES, (one.plain for one in tossed), strict=True)))
    opened = [
        row.call(JointDraw.open_sets, tossed[1].sealed, toss),
        column.call(JointDraw.open_sets, tossed[0].sealed, toss),
    ]
    executor.get_all(
        [
            row.call(JointDraw.check_sets, opened[1], sets),
            column.call(JointDraw.check_sets, opened[0], sets),
        ]
    )
