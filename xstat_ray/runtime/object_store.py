"""What Ray counts in its object stores."""

from __future__ import annotations

from ray._private.internal_api import node_stats

from xstat_ray.runtime.preflight import alive


def stored_bytes() -> int:
    """Add up the bytes of all objects that the object stores of all nodes have taken so far.

    Objects that were freed or spilled stay counted. Results of less than 100 kB are not counted:
    they pass from process to process, not through a store.
    """
    total = 0
    for node in alive():
        at = node["NodeManagerAddress"], node["NodeManagerPort"]
        counted = node_stats(*at, include_memory_info=False).store_stats  # type: ignore[no-untyped-call]
        total += int(counted.cumulative_created_bytes)
    return total
