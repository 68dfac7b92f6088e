"""The aggregator, which holds nothing secret."""

from __future__ import annotations

import inspect
import pickle

import numpy as np

from tests.synthetic import VIEW
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.paillier import PublicEncryptor
from xstat_ray.model.messages import Flags, Rows
from xstat_ray.roles import Aggregator


def test_it_holds_what_is_public_and_may_travel():
    aggregator = Aggregator(generate(2048).public, 3, 10)
    assert set(vars(aggregator)) == {"public", "rows_per_flag", "cells"}
    assert pickle.loads(pickle.dumps(aggregator)).public == aggregator.public
    offered = {
        name
        for name, _ in inspect.getmembers(aggregator, inspect.ismethod)
        if not name.startswith("_")
    }
    on_shards = {"join", "join_whole", "merge", "bound", "add"}
    assert offered == on_shards | {"unite", "lay_out", "sum_up", "rerandomise", "put_masks"}


def test_it_counts_a_shard():
    key = generate(2048)
    aggregator = Aggregator(key.public, 2, 10)
    tags = np.zeros((2, 16), np.uint8)
    tags[1] = 1
    ciphertexts = PublicEncryptor(key.public, 2).encrypt([1, 1 << 20]).reshape(2, 1, -1)
    flags = Flags(view=VIEW, batch=0, part=0, tags=tags, ciphertexts=ciphertexts)
    rows = Rows(view=VIEW, shard=0, tags=tags[[0, 0, 1]], cells=np.array([4, 4, 4], np.uint32))
    partial = aggregator.join_whole(rows, flags)
    total = aggregator.add(partial, partial)
    table = aggregator.lay_out(total, 5, 1)
    assert key.decrypt(table.reshape(5, -1)) == [0, 0, 0, 0, 4 + (2 << 20)]


def test_a_flag_that_met_more_rows_of_a_batch_than_allowed_counts_nowhere():
    key = generate(2048)
    aggregator = Aggregator(key.public, 2, 10)
    tags = np.zeros((2, 16), np.uint8)
    tags[1] = 1
    ciphertexts = PublicEncryptor(key.public, 2).encrypt([1, 1 << 20]).reshape(2, 1, -1)
    flags = [
        Flags(view=VIEW, batch=0, part=part, tags=tags[[part]], ciphertexts=ciphertexts[[part]])
        for part in range(2)
    ]
    rows = [
        Rows(view=VIEW, shard=0, tags=tags[[0, 0, 1]], cells=np.array([0, 0, 0], np.uint32)),
        Rows(view=VIEW, shard=1, tags=tags[[0, 1]], cells=np.array([2, 3], np.uint32)),
    ]
    joined = [aggregator.join(message, *flags) for message in rows]
    partial = aggregator.bound(aggregator.merge(*joined), *flags)
    assert partial.cells.tolist() == [0, 3]
    assert key.decrypt(partial.ciphertexts[:, 0]) == [1 << 20, 1 << 20]
