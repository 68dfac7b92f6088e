"""Tells, for the plan, what the shape of the row tree gives away, or what it costs to hide it.

The aggregator adds cells into areas, so it sees how many nodes each measured area has. The study is
public: an area with a number that no other has is named by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from xstat_ray.model.row_tree import level_labels
from xstat_ray.model.study import Study
from xstat_ray.model.tree_shape import lookalikes
from xstat_ray.privacy.design import Design, shown_tree
from xstat_ray.util.readable import readable_bytes

NAMES = 10
"""Most names of places of a level that the plan lists."""
_SIZES = "sizes name the largest places all the same"
_POPULATED = f"{_SIZES}, and show which cells more than a few people were in"


@dataclass(frozen=True)
class Cost:
    """What padding costs, or its empty nodes alone."""

    rows: int
    """Expected dummies among the rows."""
    flags: int
    """Expected dummies among the flags."""
    bytes: int
    """Of ciphertexts, in the table and in flags."""
    seconds: float
    """On two cores."""

    def __sub__(self, other: Cost) -> Cost:
        """What this costs more."""
        return Cost(
            self.rows - other.rows,
            self.flags - other.flags,
            self.bytes - other.bytes,
            self.seconds - other.seconds,
        )


@dataclass(frozen=True)
class NamedPlaces:
    """The places of one measured level that the shape names."""

    level: str
    nodes: int
    labels: tuple[str, ...]

    def sentence(self) -> str:
        """Tell how many, and which if they are few."""
        names = f" ({', '.join(self.labels)})" if 0 < len(self.labels) <= NAMES else ""
        return f"{len(self.labels):,} of {self.nodes:,} of level {self.level}{names}"


def named_places(study: Study) -> list[NamedPlaces]:
    """The places that the shape of the row tree names to the aggregator, from the cells up.

    A level with a single node is left out, as there is nothing to tell apart.
    """
    tree = shown_tree(study)
    alike = lookalikes(tree)
    dimensions = study.row.dimensions
    found = []
    for place, measured in enumerate(Design.of_study(study).levels):
        if measured.nodes > 1:
            labels = level_labels(dimensions, measured.level)
            named = tree.nodes[place][alike[place] == 1]
            names = tuple(labels[number] for number in np.sort(named))
            found.append(NamedPlaces(measured.name, measured.nodes, names))
    return found


def as_dict(study: Study, design: Design, cost: Cost | None) -> dict[str, Any]:
    """Tell what the shape names, or what it costs to hide it, as JSON holds it.

    Args:
        study: the cross-tab.
        design: its design.
        cost: what the empty nodes cost; None without padding.
    """
    told: dict[str, Any] = {"sentence": sentence(study, design, cost)}
    if cost is None:
        told["named"] = [
            {
                "level": places.level,
                "nodes": places.nodes,
                "named": len(places.labels),
                "places": list(places.labels[:NAMES]),
            }
            for places in named_places(study)
        ]
        return told
    return {
        **told,
        "cells": study.cells,
        "cells_shown": design.cells,
        "nodes": design.nodes,
        "nodes_shown": design.shown,
        "rows_added": cost.rows,
        "flags_added": cost.flags,
        "bytes_added": cost.bytes,
        "seconds_added_on_2_cores": round(cost.seconds, 1),
    }


def sentence(study: Study, design: Design, cost: Cost | None) -> str:
    """Tell what the shape names, or what it costs to hide it, in one line for people.

    Args:
        study: the cross-tab.
        design: its design.
        cost: what the empty nodes cost; None without padding.
    """
    if len(design.levels) == 1:
        return f"none: only cells are measured; {_SIZES}"
    if cost is None:
        named = [places.sentence() for places in named_places(study) if places.labels]
        return f"names {'; '.join(named) or 'no place'} to the compute pool; {_SIZES}"
    children = ", ".join(
        f"{lower.shown // upper.shown} x {lower.name} in every {upper.name}"
        for lower, upper in reversed(list(pairwise(design.levels)))
        if upper.nodes > 1
    )
    if design.shown == design.nodes:
        return f"none, at no cost: {children or 'one area'}; {_SIZES}"
    return (
        f"hidden: {children}, {design.cells:,} cells for {study.cells:,}, which add "
        f"{cost.rows:,} rows and {cost.flags:,} flags of dummies, {readable_bytes(cost.bytes)} and "
        f"{cost.seconds:.0f} s on 2 cores; {_POPULATED}"
    )
