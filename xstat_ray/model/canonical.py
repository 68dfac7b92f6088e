"""The canonical form of a study, by which parties find that they run the same."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction

_LATER = ("missing", "parties", "measures", "split")
"""Fields that came after the format, and are no part of the digest where they are not used."""


def digest_of(form: Mapping[str, object]) -> bytes:
    """SHA-256 over the canonical JSON form of plain frozen data."""
    text = json.dumps(
        form, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_canonical
    )
    return hashlib.sha256(text.encode()).digest()


def _canonical(value: object) -> object:
    if is_dataclass(value):
        # Not asdict, which copies every text of a domain one by one.
        form = {field.name: getattr(value, field.name) for field in fields(value)}
        return {name: of for name, of in form.items() if name not in _LATER or of not in (None, ())}
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    if isinstance(value, dt.datetime):
        return value.isoformat()
    raise TypeError(f"not part of a study: {type(value).__name__}")
