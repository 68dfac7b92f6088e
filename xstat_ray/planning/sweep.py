"""Plans a study with many settings: what error each of them would give.

Errors are predicted from the study alone, before refinement; no party's table is opened. Bounds
also drop what is over them, which these errors do not count: the smaller, the more they drop.
Standard errors say nothing of how large counts are. With counts, of a past release or of a made-up
world, a sweep also says how many cells would be published, and how far off these would be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from math import inf, prod
from pathlib import Path
from typing import Any

from xstat_ray.errors import PlanError, StudyError
from xstat_ray.inputs.section import Section
from xstat_ray.model.study import Study
from xstat_ray.planning.plan_report import predicted_stderrs
from xstat_ray.planning.settings import read_study
from xstat_ray.privacy.design import Design

MOST_POINTS = 1000
"""Most settings that are planned."""
_BLOCKS = ("study", "privacy")
_DATA = "data"


@dataclass(frozen=True)
class Shown:
    """What would be published of given counts, over some draws of the noise."""

    cells: float
    """Cells that are published, in a draw."""
    error: float | None
    """Median of their relative errors, |estimate - count| / count; None where nothing is published.
    """
    share: float
    """Part of all counts that lies in published cells."""

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON; an infinite error, of cells that are mostly of nobody, as null."""
        finite = self.error is not None and self.error < inf
        return {
            "cells": round(self.cells, 1),
            "median_relative_error": round(self.error or 0, 4) if finite else None,
            "share_of_counts": round(self.share, 4),
        }


Rehearse = Callable[[Study], Shown]
"""Function that finds what a study would publish of given counts."""


@dataclass(frozen=True)
class Point:
    """One setting of a sweep."""

    values: tuple[Any, ...]
    """Values of the swept keys, in their order."""
    noise: str
    """The noise that the plan has."""
    mechanism: str
    """Flat or tree."""
    stderrs: Mapping[str, float]
    """Predicted standard error by name of the level; empty where the study is refused."""
    refusal: str = ""
    """Why it is refused; empty where it is not."""
    shown: Shown | None = None
    """What would be published of the counts that the sweep was given, if any."""


@dataclass(frozen=True)
class Sweep:
    """Errors over a grid of settings."""

    keys: tuple[str, ...]
    points: tuple[Point, ...]
    """In the order of the grid, the last key fastest."""

    @property
    def levels(self) -> tuple[str, ...]:
        """Names of all levels of any point."""
        return tuple(dict.fromkeys(name for point in self.points for name in point.stderrs))

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON."""
        return {
            "keys": list(self.keys),
            "points": [
                {
                    "values": list(point.values),
                    "noise": point.noise,
                    "mechanism": point.mechanism,
                    "stderr": {name: round(error, 4) for name, error in point.stderrs.items()},
                    **({"published": point.shown.as_dict()} if point.shown else {}),
                    **({"refusal": point.refusal} if point.refusal else {}),
                }
                for point in self.points
            ],
        }


def read_grid(top: Section) -> dict[str, list[Any]]:
    """Read the setting `sweep`: values by key of the study or of `privacy`.

    Args:
        top: the whole configuration.

    Returns:
        Values by full key; empty where nothing is swept.

    Raises:
        StudyError: it is no mapping of keys to lists, has a key of neither block, or too many
            points.
    """
    raw = top.get("sweep")
    if raw is None:
        return {}
    if not isinstance(raw, Mapping) or not set(raw) - {_DATA}:
        remedy = "Write 'sweep={privacy.epsilon:[0.5,1,2],bounds.boardings:[1,2]}'"
        raise top.error("sweep is no mapping of keys to lists of values", "sweep", remedy=remedy)
    grid = {}
    for key, values in ((key, values) for key, values in raw.items() if key != _DATA):
        path = str(key) if str(key).split(".")[0] in _BLOCKS else f"study.{key}"
        if not isinstance(values, list) or not values:
            raise top.error(f"the values of {key} are no list", "sweep")
        grid[path] = values
    if (points := prod(map(len, grid.values()))) > MOST_POINTS:
        raise top.error(f"the sweep has {points:,} points, more than {MOST_POINTS:,}", "sweep")
    return grid


def read_data(top: Section) -> Path | None:
    """Read the key `data` of the setting `sweep`: a past release, by its folder or its statistics.

    Raises:
        StudyError: it is no path.
    """
    raw = top.get("sweep")
    path = raw.get(_DATA) if isinstance(raw, Mapping) else None
    if path is not None and not isinstance(path, str):
        raise top.error("a path is expected", "sweep.data")
    return None if path is None else Path(path)


def make_sweep(
    raw: Mapping[str, Any],
    grid: Mapping[str, Sequence[Any]],
    origin: str,
    rehearse: Rehearse | None = None,
) -> Sweep:
    """Predict the errors of a study at every point of a grid.

    Args:
        raw: the composed configuration.
        grid: values by key, as `read_grid` gives them.
        origin: name of the study's file, for messages.
        rehearse: finds what would be published, where there are counts to publish.

    Raises:
        StudyError: a key that the study does not have, or no point that is not refused.
    """
    points = [
        _point(raw, dict(zip(grid, values, strict=True)), origin, rehearse)
        for values in product(*grid.values())
    ]
    if all(point.refusal for point in points):
        raise StudyError(f"every point is refused, the first as {points[0].refusal}", key="sweep")
    return Sweep(tuple(grid), tuple(points))


def _point(
    raw: Mapping[str, Any], setting: Mapping[str, Any], origin: str, rehearse: Rehearse | None
) -> Point:
    changed = {name: deepcopy(raw[name]) for name in _BLOCKS if name in raw}
    for key, value in setting.items():
        _set(changed, key, value, origin)
    values = tuple(setting.values())
    try:
        study = read_study(changed, origin)
        design = Design.of_study(study)
        stderrs = predicted_stderrs(study, design)
        shown = rehearse(study) if rehearse else None
    except (PlanError, StudyError) as error:
        return Point(values, "", "", {}, str(error))
    return Point(values, design.budget.noise, design.kind, stderrs, shown=shown)


def _set(changed: dict[str, Any], key: str, value: object, origin: str) -> None:
    """Set the value at a path; parts that are numbers are places in lists."""
    *path, last = key.split(".")
    place: Any = changed
    with suppress(AttributeError, IndexError, TypeError, ValueError):
        for part in path:
            place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
        if isinstance(place, list):
            place[int(last)] = value
        else:
            place.update({last: value})
        return
    raise StudyError(f"the study has no key {key}", file=origin, key="sweep")
