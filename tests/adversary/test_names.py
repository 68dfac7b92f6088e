"""Who is in the tables, and which cell is which place: nobody but the parties themselves tells."""

from __future__ import annotations

import hashlib
from functools import partial, wraps
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.adversary.criterion import DRAWS, LEARN, Guesses, chance, guess_worlds
from tests.adversary.deployments import DEPLOYMENTS, PUBLIC, READER, OneProcess, played
from tests.adversary.dictionary import recognised
from tests.adversary.features import features
from tests.adversary.people import NUMBERS, People, bytes_of, mixed
from tests.case import study
from tests.sizes import first, slow, thorough
from xstat_ray.model.messages import Rows
from xstat_ray.model.shards import Shard
from xstat_ray.roles import ColumnParty, RowParty, blinding

STUDY = study(noise="laplace", privacy={"mechanism": "tree"})
EXACT = study(noise="off")
HONEST = RowParty.emit


@wraps(HONEST)
def hashed_ids(self: RowParty, shard: Shard) -> Rows:
    """Emit rows whose tags are salted hashes of ids; the salt is the public digest of the study."""
    rows = HONEST(self, shard)
    salt = self._study.digest
    ids = sorted(bytes_of(NUMBERS))[: len(rows.tags)]
    digests = b"".join(hashlib.sha256(salt + person).digest()[:16] for person in ids)
    tags = np.frombuffer(digests, np.uint8).reshape(-1, 16)
    order = np.lexsort((tags.view("<u8")[:, 1], tags.view("<u8")[:, 0]))
    return Rows(**{**vars(rows), "tags": tags[order]})


@thorough
@pytest.mark.parametrize("deployment", first(1, DEPLOYMENTS, slow), ids=lambda made: made.name)
def test_whoever_can_list_all_ids_recognises_none(deployment, tmp_path):
    people = mixed(5)
    ran = deployment.run(STUDY, people.tables(), tmp_path)
    asked = bytes_of(people.row[:6] + people.column[:6])
    for roles in (deployment.counters, (PUBLIC,), (READER,)):
        assert recognised(ran.of(*roles), asked) == set()
    # The search finds what is there: each party has its people's ids.
    for role in ("row", "column"):
        assert recognised(ran.of(role), asked) >= people.of(role) & set(asked)


@thorough
def test_salted_hashes_of_ids_are_recognised(tmp_path, monkeypatch):
    monkeypatch.setattr(RowParty, "emit", hashed_ids)
    tables = People(NUMBERS[:30], NUMBERS[:30]).tables()
    deployment = OneProcess()
    things = deployment.run(STUDY, tables, tmp_path, shards=1).of(*deployment.counters)
    asked = bytes_of(NUMBERS[:6])
    assert recognised(things, asked) == set(asked)


def two_places(folder: Path, role: str) -> Guesses:
    """Let a role guess which of two places most people were in, with noise off."""
    number = iter(range(1000))
    people = People(NUMBERS[:12], NUMBERS[:12])

    def world(most: str, few: str) -> dict[str, float]:
        tables: dict[Any, Any] = people.tables(kind="x")
        tables["row"]["area"] = [few] * 3 + [most] * 9
        things = played(EXACT, tables, folder / str(next(number)), role, shards=1).of(role)
        return features(things)

    return guess_worlds([partial(world, *"ab"), partial(world, *"ba")], LEARN, DRAWS)


def nothing_is_shown(self: ColumnParty, *shown: object) -> None:
    """Stand for the check of what was published."""


def declared_order(secret: bytes, purpose: str, count: int) -> Any:
    """Draw words that leave everything in its declared order."""
    del secret, purpose
    return np.arange(count, dtype=np.uint64)


@slow
@pytest.mark.parametrize("role", first(1, ["aggregator", "column"], slow))
def test_blinded_cells_have_no_names(role, tmp_path, monkeypatch):
    """The key holder opens even exact counts here, and cannot say of which place they are.

    Until it is shown what is published, which names the places to everybody.
    """
    monkeypatch.setattr(ColumnParty, "check_published", nothing_is_shown)
    assert not two_places(tmp_path, role).beat(chance())


@slow
@pytest.mark.parametrize("role", first(1, ["aggregator", "column"], slow))
def test_cells_in_their_declared_order_have_names(role, tmp_path, monkeypatch):
    monkeypatch.setattr(blinding, "uniform_words", declared_order)
    assert two_places(tmp_path, role).beat(chance())
