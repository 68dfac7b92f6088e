from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xstat_ray.bounds import keep_per_group

rows = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.integers(0, 9)), max_size=60)


@given(rows, st.integers(1, 4), st.integers(0, 2**32))
def test_keeps_the_largest_weights_and_never_more_than_the_limit(table, limit, seed):
    person, period, weight = (
        (np.array(c, np.int64) for c in zip(*table, strict=True)) if table else [np.zeros(0, int)] * 3
    )
    priority = np.random.default_rng(seed).integers(0, 2**63, len(person), dtype=np.uint64)
    keep = keep_per_group((person, period), limit, priority, weight.astype(float))
    kept, all_ = defaultdict(list), defaultdict(list)
    for i, group in enumerate(zip(person, period, strict=True)):
        all_[group].append(weight[i])
        if keep[i]:
            kept[group].append(weight[i])
    for group, weights in all_.items():
        assert sorted(kept[group]) == sorted(sorted(weights)[-limit:])


def test_without_weights_every_row_of_a_group_is_equally_likely():
    person = np.repeat(np.arange(4000), 5)
    priority = np.random.default_rng(1).integers(0, 2**63, len(person), dtype=np.uint64)
    keep = keep_per_group((person,), 2, priority)
    hits = Counter(np.flatnonzero(keep) % 5)
    # 4000 groups keep 2 of 5: 1600 expected a place, standard deviation 31; a rule that prefers a place is far off.
    assert all(abs(hits[place] - 1600) < 5 * 31 for place in range(5))


def test_missing_weight_loses_against_any_weight():
    weight = np.array([np.nan, -5.0])
    assert keep_per_group((np.zeros(2, int),), 1, np.array([0, 1], np.uint64), weight).tolist() == [False, True]
