"""The measures of a study, and the split of the budget over counts and sums, as people write it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

from xstat_ray.inputs.section import Section, first_duplicate, is_whole
from xstat_ray.inputs.study_dimensions import PUBLISHED
from xstat_ray.model.measure import MOST_MEASURES, MOST_RANGE, Measure, published_names
from xstat_ray.model.study import OFFSET, Study
from xstat_ray.privacy.split import COUNT

MEASURE_FIELDS = ("name", "column", "low", "high", "unit")
_AUTO = "auto"
_SHARES = f"Give {COUNT} and every measure a share, such as {{{COUNT}: 0.5, fare: 0.5}}, or auto"


def read_measures(side: Section) -> tuple[Measure, ...]:
    """Read the `measures` of the column side of a study.

    Raises:
        StudyError: a name that cannot be one, bounds that are no range of whole numbers, or too
            many measures.
    """
    measures = tuple(_measure(section) for section in side.children("measures", MEASURE_FIELDS))
    if len(measures) > MOST_MEASURES:
        raise side.error(f"there are more than {MOST_MEASURES} measures", "measures")
    if (twice := first_duplicate(measure.name for measure in measures)) is not None:
        raise side.error(f"two measures are called {twice!r}", "measures")
    return measures


def _measure(section: Section) -> Measure:
    name = section.text("name")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name == COUNT:
        remedy = f"Use letters, digits and '_', a letter first, and not {COUNT}"
        raise section.error("the name of a measure is no plain word", "name", remedy=remedy)
    low, high = (_bound(section, end) for end in ("low", "high"))
    if not 0 < high - low < MOST_RANGE:
        remedy = f"Low is less than high, by less than {MOST_RANGE:,}; give it in a larger unit"
        raise section.error("the bounds of the measure are no range", "high", remedy=remedy)
    column = section.text("column", name)
    return Measure(name, column, low, high, section.optional_text("unit"))


def _bound(section: Section, end: str) -> int:
    value = section.need(end)
    if not is_whole(value):
        remedy = "Write a whole number that both parties agree on, in digits and without quotes"
        raise section.error(f"{end} is not a whole number", end, remedy=remedy)
    return value


def read_split(privacy: Section) -> tuple[tuple[str, Fraction], ...]:
    """Read `split`: shares of the budget by name; empty where the planner splits it.

    Raises:
        StudyError: not that, or a share that is not positive.
    """
    raw = privacy.get("split")
    if raw is None or raw == _AUTO:
        return ()
    if not isinstance(raw, Mapping) or not raw:
        raise privacy.error("split is no mapping of names to shares", "split", remedy=_SHARES)
    node = privacy.at(raw, "split", [str(name) for name in raw])
    shares = tuple((str(name), node.fraction(str(name), Fraction(0))) for name in raw)
    for name, share in shares:
        if share <= 0:
            raise node.error("a share of the budget is not positive", name)
    return shares


def check_measures(top: Section, study: Study) -> None:
    """Check that names of measures are free, and that the split is one of them.

    Raises:
        StudyError: a column of the published tables would have two meanings, or the shares are not
            those of the count and all measures, or do not add up to 1.
    """
    names = {d.name for side in (study.row, study.column) for d in side.dimensions}
    taken = {*names, *PUBLISHED, OFFSET, "level", "area", "unbiased"}
    for number, measure in enumerate(study.column.measures):
        both = sorted(taken & {measure.name, *published_names(measure.name)})
        if both:
            key = f"study.column.measures[{number}].name"
            raise top.error(f"the name {both[0]!r} is taken", key, remedy="Give it another name")
        taken |= {measure.name, *published_names(measure.name)}
    split = dict(study.privacy.split)
    if not split:
        return
    if set(split) != {COUNT, *(measure.name for measure in study.column.measures)}:
        raise top.error("split names others than the measures", "privacy.split", remedy=_SHARES)
    if sum(split.values()) != 1:
        raise top.error("the shares of split do not add up to 1", "privacy.split", remedy=_SHARES)
