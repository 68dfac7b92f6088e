"""What Ray counts of its object stores."""

from __future__ import annotations

from ray._private.internal_api import node_stats

from xstat_ray.runtime.preflight import alive


def stored_bytes() -> int:
    """Bytes of all objects that the object stores of Ray's nodes have taken so far, as each node counts them.

    What is freed or spilled stays counted. Results of less than 100 kB are in none: they pass from
    process to process.
    """
    total = 0
    for node in alive():
        at = node["NodeManagerAddress"], node["NodeManagerPort"]
        counted = node_stats(*at, include_memory_info=False).store_stats  # type: ignore[no-untyped-call]
        total += int(counted.cumulative_created_bytes)
    return total
