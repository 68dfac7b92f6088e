"""Numbers as people read them."""

from __future__ import annotations


def readable_bytes(count: int) -> str:
    """Write a number of bytes for people, such as 1.23 MB."""
    size = float(count)
    unit = "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size = size / 1000
        unit = larger
    return f"{size:.3g} {unit}"
