"""Tells, for plan and manifest, what one person may contribute, and what follows from it."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import asdict, replace
from typing import Any

from xstat_ray.model.study import Study

_BOUNDS = ("rows", "boardings", "per_column")


def bounds(study: Study) -> dict[str, int]:
    """Give the bounds of a study by name, as JSON holds them."""
    return asdict(study.bounds)


def as_dict(study: Study) -> dict[str, Any]:
    """Give what one person moves at most, and the least bounds that need as much noise.

    Where the study names several parties of a side, also each one's own bounds, in its order.
    """
    sensitivity = study.sensitivity
    named = {
        "row": [asdict(terms) for terms in study.row.parties],
        "column": [asdict(terms) for terms in study.column.parties],
    }
    return {
        "rows_of_a_flag": sensitivity.rows,
        "flags": sensitivity.flags,
        "flags_in_one_column": sensitivity.column_flags,
        "units_in_one_column": sensitivity.column_units,
        "least_bounds": {name: least_bound(study, name) for name in _BOUNDS},
        **({"parties": named} if any(named.values()) else {}),
    }


def sentence(study: Study) -> str:
    """Tell what one person moves at most in a sentence for people."""
    sensitivity = study.sensitivity
    units = "1 unit" if sensitivity.l1 == 1 else f"{sensitivity.l1:,} units"
    return (
        f"at most {units}, {sensitivity.column_units:,} in one column; "
        f"at most {study.bounds.persons:,} people"
    )


def derivation(study: Study) -> str:
    """Tell for people how that comes about, and which bounds are larger than can be used."""
    sensitivity = study.sensitivity
    rows = f"{_count(sensitivity.rows, 'row')} x "
    told = (
        f"L1 = {rows}{_count(sensitivity.flags, 'flag')} ({_flags(study)}) = {sensitivity.l1:,}, "
        f"m = {rows}{_count(sensitivity.column_flags, 'flag')} in one column = "
        f"{sensitivity.column_units:,}, L2^2 = {sensitivity.l2_squared:,}"
    )
    told += _sums(study)
    for name in _BOUNDS:
        declared = getattr(study.bounds, name)
        least = least_bound(study, name)
        if least < declared:
            told += f"; {name} {declared:,} costs no more than {least:,}"
    return told


def least_bound(study: Study, name: str) -> int:
    """Find the least value of a bound that needs as much noise as the declared one.

    Args:
        study: what is counted.
        name: `rows`, `boardings` or `per_column`.
    """
    declared = study.sensitivity
    values = range(1, getattr(study.bounds, name) + 1)

    def needs_as_much(value: int) -> bool:
        bounds = replace(study.bounds, **{name: value})
        return replace(study, bounds=bounds).sensitivity == declared

    return values[bisect_left(values, True, key=needs_as_much)]


def _sums(study: Study) -> str:
    """Tell what it costs that someone may be in the tables of several parties of a side."""
    parts = [f"{_count(terms.rows, 'row')} of {terms.name}" for terms in study.row.parties]
    parts += [
        f"{_count(terms.boardings, 'boarding')} ({terms.per_column:,} in one column) of "
        f"{terms.name}"
        for terms in study.column.parties
    ]
    if not parts:
        return ""
    return f"; these are sums, as someone may be in all tables: {', '.join(parts)}"


def _flags(study: Study) -> str:
    """Tell how many flags one person has, and why no more."""
    boardings = least_bound(study, "boardings")
    window = study.window_in_study
    periods = len(study.period.span) * len(study.column_parties)
    fewer = f" of {study.window_periods:,}" if window < study.window_periods else ""
    short = f", the study has {periods:,}" if periods < boardings * window else ""
    return f"{_count(boardings, 'boarding')} x {_count(window, 'period')}{fewer}{short}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
