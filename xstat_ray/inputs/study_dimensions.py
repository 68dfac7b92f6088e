"""The dimensions of a study file, whose labels and values are written in one of several forms.

The forms are a list of `values`, a `range` of numbers, named `groups`, and the column of a public
table: a `file` beside the study or a registered `reference`, which `PublicTable` reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path

from xstat_ray.inputs.hierarchies import ALIKE, column_levels, first_alike, read_hierarchy
from xstat_ray.inputs.public_tables import FILE_FIELDS, PublicTable
from xstat_ray.inputs.section import QUOTE, Section, first_duplicate, is_whole
from xstat_ray.inputs.study_crosses import OWNER, refuse_cross
from xstat_ray.model.dimension import Dimension, Level

MAX_SIZE = 10**7
"""Most labels of one dimension, and most cells or slots of a study."""

FORMS = ("values", "range", "groups", "file", "reference")
TABLES = ("file", "reference")
TABLE_FIELDS = ("field", "label", "only", *FILE_FIELDS)
FIELDS = ("name", "column", *FORMS, *TABLE_FIELDS, "other", "missing", "hierarchy")
PUBLISHED = ("noisy", "estimate", "low95", "high95", "stderr", "suppressed", "smoothed")
"""Columns of the published table that are not dimensions."""

_ONCE = "Remove one of them, or give one another name"

_Members = Sequence[tuple[str, tuple[str, ...]]]


def read_dimensions(side: Section, folder: Path) -> tuple[Dimension, ...]:
    """Read the `dimensions` of one side of a study.

    Args:
        side: the section `study.row` or `study.column`.
        folder: where the paths of domain files start.

    Returns:
        The dimensions in declared order; none where `dimensions` is absent.

    Raises:
        StudyError: a domain is malformed, empty, ambiguous or too large, or two dimensions share a
            name.
    """
    dimensions: list[Dimension] = []
    for section in side.children("dimensions", (*FIELDS, *OWNER)):
        refuse_cross(section, OWNER)
        dimension = _dimension(section, folder)
        if dimension.name in {*(d.name for d in dimensions), *PUBLISHED}:
            raise section.error(
                f"the name {dimension.name!r} is taken", "name", remedy="Give it another name"
            )
        dimensions.append(dimension)
    if (cells := prod(d.size for d in dimensions)) > MAX_SIZE:
        raise side.error(
            f"the dimensions span {cells} combinations, more than {MAX_SIZE}", "dimensions"
        )
    return tuple(dimensions)


def _dimension(section: Section, folder: Path) -> Dimension:
    name = section.text("name")
    given = [form for form in FORMS if section.get(form) is not None]
    if len(given) != 1:
        problem = f"{' and '.join(given)} are both given" if given else "the domain is missing"
        raise section.error(problem, remedy=f"Give exactly one of {', '.join(FORMS)}")
    form = given[0]
    if form not in TABLES and (
        stray := next((f for f in TABLE_FIELDS if section.get(f) is not None), None)
    ):
        raise section.error(f"{stray} is given without {' or '.join(TABLES)}", stray)
    table = PublicTable(section, folder) if form in TABLES else None
    pairs = _READERS[form](section) if table is None else _table(section, table)
    other = section.optional_text("other")
    missing = section.optional_text("missing")
    further = [label for label in (other, missing) if label is not None]
    labels = [label for label, _ in pairs] + further
    members = tuple(values for _, values in pairs) + ((),) * len(further)
    if (twice := first_duplicate(labels)) is not None:
        key = {missing: "missing", other: "other"}.get(twice, form)
        raise section.error(f"the label {twice!r} occurs twice", key, remedy=_ONCE)
    if (twice := first_duplicate(value for values in members for value in values)) is not None:
        raise section.error(f"the value {twice!r} occurs twice", form, remedy=_ONCE)
    if form != "range":
        _check_letters(section, form, labels, members)
    if len(labels) > MAX_SIZE:
        raise section.error(f"the domain has more than {MAX_SIZE} labels", form)
    levels = _hierarchy(section, labels, table)
    column = section.text("column", name)
    return Dimension(name, column, tuple(labels), members, other, levels, missing)


def _check_letters(
    section: Section, form: str, labels: Sequence[str], members: Sequence[Sequence[str]]
) -> None:
    """Refuse labels that a reader cannot tell apart, and what no value can hold.

    Raises:
        StudyError: there are such labels, or a zero byte.
    """
    if any("\0" in text for texts in (labels, *members) for text in texts):
        raise section.error("a value has a zero byte in it", form, remedy="Remove it")
    if (alike := first_alike(labels)) is not None:
        raise section.error(
            f"the labels {alike[0]!r} and {alike[1]!r} look alike", form, remedy=ALIKE
        )


def _values(section: Section) -> _Members:
    values = [
        _value(section, item, f"values[{i}]") for i, item in enumerate(section.items("values"))
    ]
    return [(value, (value,)) for value in values]


def _range(section: Section) -> _Members:
    ends = section.wholes("range")
    if len(ends) != 2:
        raise section.error(
            "range is not a pair", "range", remedy="Write [first, last], both inclusive"
        )
    first, last = ends
    if last < first:
        raise section.error(
            "range ends before it begins", "range", remedy="Write [first, last], both inclusive"
        )
    if last - first >= MAX_SIZE:
        raise section.error(f"range has more than {MAX_SIZE} numbers", "range")
    return [(str(i), (str(i),)) for i in range(first, last + 1)]


def _groups(section: Section) -> _Members:
    raw = section.need("groups")
    if not isinstance(raw, Mapping) or not raw:
        raise section.error("groups is not a mapping of label to list of values", "groups")
    labels = [_value(section, label, "groups") for label in raw]
    groups = section.at(dict(zip(labels, raw.values(), strict=True)), "groups", labels)
    return [
        (
            label,
            tuple(
                _value(groups, item, f"{label}[{i}]") for i, item in enumerate(groups.items(label))
            ),
        )
        for label in labels
    ]


def _table(section: Section, table: PublicTable) -> _Members:
    """Read the values of `field`, each labelled by itself or by `label` of its row."""
    values = table.column(section.text("field"))
    members: dict[str, list[str]] = {}
    for value, label in zip(values, _row_labels(section, table), strict=True):
        members.setdefault(label, []).append(value)
    return [(label, tuple(values)) for label, values in members.items()]


def _row_labels(section: Section, table: PublicTable) -> list[str]:
    return table.column(section.text("label", section.text("field")))


def _hierarchy(
    section: Section, labels: Sequence[str], table: PublicTable | None
) -> tuple[Level, ...]:
    raw = section.get("hierarchy")
    if raw is None or isinstance(raw, Mapping):
        return read_hierarchy(section, labels)
    if table is None:
        remedy = "Name the groups of every level, or give quadrants and width"
        raise section.error("a list of columns needs a public table", "hierarchy", remedy=remedy)
    names = [
        _value(section, item, f"hierarchy[{i}]")
        for i, item in enumerate(section.items("hierarchy"))
    ]
    place = {label: number for number, label in enumerate(labels)}
    rows = [place[label] for label in _row_labels(section, table)]
    return column_levels(section, labels, rows, {name: table.column(name) for name in names})


def _value(section: Section, item: object, name: str) -> str:
    """Text of a domain value; floats are refused, as one has several texts (1.0, 1)."""
    if is_whole(item):
        return str(item)
    if isinstance(item, str) and item:
        return item
    kind = "an empty value" if item in (None, "") else f"a value of type {type(item).__name__}"
    raise section.error(f"{kind} in a domain", name, remedy=QUOTE)


_READERS = {"values": _values, "range": _range, "groups": _groups}
