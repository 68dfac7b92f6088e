"""The versions of what normal forms rest on, which both parties of a study must have alike.

An id, a period or a cell that one party's library writes otherwise than the other's would not meet,
and nobody would notice. The digest of the software covers this package's files alone.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from xstat_ray.model.study import Study

_HOUR = 3_600_000_000
"""Microseconds of an hour."""


def libraries(study: Study) -> dict[str, str]:
    """Versions of what the normal forms of a study rest on, by name.

    These are `phonenumbers`, which has its metadata inside, where ids are phone numbers; the tables
    of Unicode by which texts are folded, of Python and inside `pyarrow`; and the rules of the
    study's time zone, as a digest of its distance from UTC in every hour of the study.
    """
    found = {"pyarrow": pa.__version__, "unicodedata": unicodedata.unidata_version}
    if study.id_form == "phone":
        found["phonenumbers"] = _installed("phonenumbers")
    period = study.period
    if period.grain != "none":
        start, end = period.edges
        found[f"tzdata of {period.timezone}"] = _rules(period.timezone, start, end)
    return found


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


@cache
def _rules(zone: str, start: int, end: int) -> str:
    """Digest of the wall clock of a zone, an hour before `start` to an hour after `end`."""
    hours = pa.array(np.arange(start - _HOUR, end + 2 * _HOUR, _HOUR), pa.int64())
    instants = hours.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us", zone))
    clock = pc.local_timestamp(instants).cast(pa.int64())
    return sha256(pc.subtract(clock, hours).to_numpy().tobytes()).hexdigest()[:12]
