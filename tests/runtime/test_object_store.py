"""What Ray counts in its object store."""

from __future__ import annotations

import numpy as np
import pytest
import ray

from xstat_ray.runtime.object_store import stored_bytes

LARGE = 1 << 20
SMALL = 1 << 10


@pytest.mark.ray
def test_every_large_object_is_counted_once_and_stays_counted(ray_folder):
    @ray.remote
    def make(size):
        return np.zeros(size, np.uint8)

    @ray.remote
    def twice(array):
        return len(array) * 2

    before = stored_bytes()
    kept = ray.put(np.zeros(LARGE, np.uint8))
    assert LARGE <= stored_bytes() - before < 1.01 * LARGE
    assert ray.get([twice.remote(kept), twice.remote(kept)]) == [2 * LARGE, 2 * LARGE]
    assert stored_bytes() - before < 1.01 * LARGE
    made = make.remote(2 * LARGE)
    ray.wait([made])
    assert 3 * LARGE <= stored_bytes() - before < 3.03 * LARGE
    del kept, made
    ray.get(make.remote(SMALL))
    assert 3 * LARGE <= stored_bytes() - before < 3.03 * LARGE
