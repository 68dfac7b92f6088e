"""The times of a study file: the period in which rows match, and windows around an anchor."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import cast
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from xstat_ray.inputs.section import Section, first_duplicate, is_whole
from xstat_ray.model.period import GRAIN_SECONDS, Grain, Period
from xstat_ray.model.study import Window

UNIT_SECONDS = {"minute": 60, "hour": 3_600, "day": 86_400, "week": 7 * 86_400}
UNIT_MONTHS = {"month": 1, "year": 12}
_MARKS = {"minute": "m", "hour": "h", "day": "d", "week": "w", "month": "mo", "year": "y"}
"""Ends of the labels of offsets, by unit."""
MAX_OFFSETS = 100_000
"""Most offsets of one window, far more than any table has columns for."""
WINDOW_FIELDS = ("anchor", "name", "unit", "from", "to", "step", "offsets")
_EPOCH = dt.datetime(1970, 1, 2, tzinfo=dt.UTC)


def read_period(study: Section) -> Period:
    """Read `period`; without it rows match on the id alone (grain none).

    Raises:
        StudyError: an unknown grain or zone, no span, a span that is empty or begins before 2
            January 1970, or a span where the grain is none.
    """
    if study.get("period") is None:
        return Period()
    node = study.child("period", ("grain", "start", "end", "timezone"))
    grain = cast(Grain, node.choice("grain", tuple(GRAIN_SECONDS)))
    if grain == "none":
        for name in ("start", "end", "timezone"):
            if node.get(name) is not None:
                raise node.error(
                    f"{name} has no meaning with grain none",
                    name,
                    remedy="Remove it, or set a grain",
                )
        return Period()
    timezone = node.text("timezone", "UTC")
    try:
        zone = ZoneInfo(timezone)
        # Arrow, which reads the times of tables, has a list of its own.
        pc.local_timestamp(pa.scalar(0, pa.timestamp("us", timezone)))
    except (KeyError, ValueError, OSError):
        raise node.error(
            f"unknown timezone {timezone!r}", "timezone", remedy="Use a name such as Asia/Tokyo"
        ) from None
    start = _instant(node, "start", zone)
    end = _instant(node, "end", zone)
    if start < _EPOCH:
        # Period numbers are unsigned; a day of margin keeps local dates of every zone non-negative
        # too.
        raise node.error("start is before 1970-01-02", "start")
    if start >= end:
        raise node.error(
            "end is not after start", "end", remedy="end is the first instant after the study"
        )
    return Period(grain, start, end, timezone)


def _instant(node: Section, name: str, zone: ZoneInfo) -> dt.datetime:
    """Read a date, or a date and time; one without an offset from UTC is local to `zone`."""
    value = node.need(name)
    # Loaders of YAML differ: some give a date, others its text.
    try:
        instant = dt.datetime.fromisoformat(
            value.isoformat() if isinstance(value, dt.date) else cast(str, value)
        )
    except (TypeError, ValueError):
        raise node.error(
            f"{name} is not a date", name, remedy="Write 2023-08-28 or 2023-08-28T05:00"
        ) from None
    return instant.replace(tzinfo=zone) if instant.tzinfo is None else instant.astimezone(zone)


def read_windows(column: Section, period: Period) -> tuple[Window, ...]:
    """Read the `windows` of the column party; none where the field is absent.

    A window is `{anchor: departure_time, name: departure, unit: hour, from: -6, to: -1}`, both ends
    inclusive, its offsets `step` units apart (default 1); or it lists `offsets: [-6, -3, -1]` in
    place of both ends. The offsets are published under labels such as `departure-6h`. Where the
    period is a month or a year, they are whole periods, and the study is made of whole ones.

    Raises:
        StudyError: the period is none or does not fit the unit, offsets are not ascending, are
            closer together than one period or reach further than the study's span, or two offsets
            share a label.
    """
    nodes = column.children("windows", WINDOW_FIELDS)
    if nodes and period.grain == "none":
        raise column.error(
            "windows have no meaning with period grain none", "windows", remedy="Set a grain"
        )
    if nodes and period.months and not period.whole:
        raise column.error(
            f"windows of {period.grain}s need a study of whole {period.grain}s",
            "windows",
            remedy=f"Let study.period begin and end with a {period.grain}, such as 2023-04-01",
        )
    windows = tuple(_window(node, period) for node in nodes)
    if (twice := first_duplicate(label for w in windows for label in w.labels)) is not None:
        raise column.error(
            f"two windows have the label {twice!r}", "windows", remedy="Give them different names"
        )
    return windows


def _window(node: Section, period: Period) -> Window:
    unit = node.choice("unit", tuple(_MARKS), "hour")
    length = _length(node, unit, period)
    anchor = node.text("anchor")
    name = node.text("name", anchor)
    key, steps = _steps(node)
    if any(later <= earlier for earlier, later in pairwise(steps)):
        raise node.error("offsets are not ascending, each once", key)
    offsets = tuple(step * length for step in steps)
    if any(later - earlier < period.seconds for earlier, later in pairwise(offsets)):
        remedy = "Two of them would fall into the same period: spread them, or choose a finer grain"
        raise node.error(
            f"offsets are closer together than one period ({period.grain})", key, remedy=remedy
        )
    assert period.start is not None
    assert period.end is not None
    span = len(period.span) if period.months else (period.end - period.start).total_seconds()
    if max(abs(offset) for offset in offsets) > span:
        raise node.error(
            "offsets reach further than the study's span", key, remedy="Check unit and study.period"
        )
    return Window(anchor, offsets, tuple(f"{name}{step:+d}{_MARKS[unit]}" for step in steps))


def _length(node: Section, unit: str, period: Period) -> int:
    """The length of a unit: in seconds, or in periods where these are months or years."""
    if not period.months and unit in UNIT_SECONDS:
        return UNIT_SECONDS[unit]
    if not period.months or UNIT_MONTHS.get(unit, 0) < period.months:
        fitting = [
            name
            for name in _MARKS
            if (
                UNIT_MONTHS.get(name, 0) >= period.months if period.months else name in UNIT_SECONDS
            )
        ]
        raise node.error(
            f"offsets in {unit}s do not fit periods of grain {period.grain}",
            "unit",
            remedy=f"Use {' or '.join(fitting)}",
        )
    return UNIT_MONTHS[unit] // period.months


def _steps(node: Section) -> tuple[str, list[int]]:
    """Read the offsets of a window, in its unit; returns the key that holds them, and them."""
    if node.get("offsets") is not None:
        for name in ("from", "to", "step"):
            if node.get(name) is not None:
                raise node.error(f"{name} and offsets are both given", name)
        return "offsets", node.wholes("offsets")
    ends = [node.need(name) for name in ("from", "to")]
    first, last = (end for end in ends if is_whole(end)) if all(map(is_whole, ends)) else (0, -1)
    if last < first:
        raise node.error(
            "from and to are not ascending whole numbers", "to", remedy="Write from: -6 and to: -1"
        )
    step = node.whole("step", 1, least=1)
    if (last - first) // step >= MAX_OFFSETS:
        raise node.error(
            f"there are more than {MAX_OFFSETS:,} offsets", "to", remedy="Check from, to and step"
        )
    return "to", list(range(first, last + 1, step))
