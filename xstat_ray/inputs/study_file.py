"""Study files: YAML that people write becomes a checked `Study`.

A study file is also an option of the Hydra config group `study`. It may therefore begin with a
`# @package _global_` line and say where the tables lie, which is no part of the study and is
ignored here. Everything is checked before any table is opened; messages name the key and, where one
is known, the remedy.

YAML reads some unquoted words as something else than text: NO and off as false, 012 as an octal
number, 12:30 as 750. `spelling` refuses them by what the file says; where there is no file, values
of other types than text and whole numbers are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast, get_args

import phonenumbers
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from xstat_ray.errors import StudyError
from xstat_ray.inputs.composite_ids import columns_of, read_columns
from xstat_ray.inputs.section import Section, first_duplicate
from xstat_ray.inputs.spelling import check_spelling
from xstat_ray.inputs.study_dimensions import MAX_SIZE, read_dimensions
from xstat_ray.inputs.study_measures import check_measures, read_measures
from xstat_ray.inputs.study_parties import (
    check_names,
    read_bounds,
    read_column_parties,
    read_dataset,
    read_row_parties,
)
from xstat_ray.inputs.study_privacy import read_privacy
from xstat_ray.inputs.study_times import read_period, read_windows
from xstat_ray.model.parties import ColumnTerms, RowTerms
from xstat_ray.model.period import Period
from xstat_ray.model.row_tree import level_names
from xstat_ray.model.study import (
    OFFSET,
    ColumnSide,
    IdForm,
    RowSide,
    Study,
)

ROW_FIELDS = ("id", "time", "weight", "dataset", "dimensions", "parties")
COLUMN_FIELDS = (
    "id", "time", "dataset", "dimensions", "windows", "offset_dimension", "parties", "measures",
)  # fmt: skip
STUDY_FIELDS = ("name", "title", "id", "period", "row", "column", "bounds")
NOT_OF_THE_STUDY = ("data", "tables")
"""Top-level keys that say where the tables lie."""


def load(path: Path | str) -> Study:
    """Read a study file.

    Raises:
        StudyError: the file cannot be read, is not YAML, or is not a study that `parse` accepts.
    """
    try:
        check_spelling(Path(path).read_text("utf-8"), str(path))
        raw = OmegaConf.to_container(OmegaConf.load(path), resolve=True)
    except OSError as error:
        raise StudyError(
            "the study file cannot be read", file=str(path), remedy=error.strerror
        ) from None
    except UnicodeDecodeError:
        raise StudyError(
            "the study file is not UTF-8", file=str(path), remedy="Save it as UTF-8"
        ) from None
    except (YAMLError, OmegaConfBaseException) as error:
        raise StudyError(
            "the study file is not valid YAML", file=str(path), remedy=str(error)
        ) from None
    except RecursionError:
        remedy = "Look for an anchor (&) whose own content names it (*)"
        raise StudyError(
            "the study file is nested without end", file=str(path), remedy=remedy
        ) from None
    return parse(cast(Mapping[str, Any], raw), origin=str(path))


def parse(raw: Mapping[str, Any], *, origin: str) -> Study:
    """Build a study from its plain form: mappings, lists and scalars.

    Args:
        raw: mapping with the keys `study`, optionally `privacy`, and those of `NOT_OF_THE_STUDY`,
            which are ignored.
        origin: name of the file that errors point at; domain files are looked for first in its
            folder.

    Raises:
        StudyError: a key is unknown or missing, a value has the wrong type, or values contradict
            each other.
    """
    top = Section(raw, key="", origin=origin, known=("study", "privacy", *NOT_OF_THE_STUDY))
    section = top.child("study", STUDY_FIELDS)
    name = section.text("name")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise section.error(
            "name is not a plain word", "name", remedy="Use letters, digits, '.', '_' and '-'"
        )
    form, region = read_id(section)
    period = read_period(section)
    folder = Path(origin).parent
    row_section = section.child("row", ROW_FIELDS)
    row_parties = read_row_parties(row_section, name)
    row = _row(row_section, name, period, folder, row_parties)
    column_section = section.child("column", COLUMN_FIELDS)
    parties = read_column_parties(column_section, name)
    check_names(section, row_parties, parties)
    column = _column(column_section, name, period, folder, parties)
    if len({len(columns_of(side.id)) for side in (row, column)}) > 1:
        problem = "the ids of the two parties have different numbers of columns"
        raise section.error(problem, "column.id")
    names = [dimension.name for side in (row, column) for dimension in side.dimensions]
    if (twice := first_duplicate(names)) is not None:
        raise section.error(f"row and column both have a dimension {twice!r}", "column.dimensions")
    levels = level_names(row.dimensions)
    if (twice := first_duplicate(levels)) is not None:
        raise section.error(f"two levels of the row tree are called {twice!r}", "row.dimensions")
    bounds = read_bounds(section, row_parties, parties)
    privacy = read_privacy(top, levels)
    study = Study(name, row, column, form, region, period, bounds, privacy, _title(section))
    if study.slots > MAX_SIZE:
        raise section.error(
            f"the columns span {study.slots} combinations, more than {MAX_SIZE}", "column"
        )
    check_measures(top, study)
    return study


def _title(section: Section) -> dict[str, str]:
    raw = section.get("title")
    if raw is None:
        return {}
    title = section.at(raw, "title", tuple(raw) if isinstance(raw, Mapping) else ("en", "ja"))
    return {str(language): title.text(language) for language in cast(Mapping[str, object], raw)}


def read_id(section: Section) -> tuple[IdForm, str | None]:
    """Read `id`: the name of a normal form, or a mapping of `form` and `region`.

    Returns:
        The form, and the region whose national phone numbers are understood.

    Raises:
        StudyError: an unknown form or region, or a region for ids that are not phone numbers.
    """
    raw = section.get("id")
    node = section.at(raw if isinstance(raw, Mapping) else {"form": raw}, "id", ("form", "region"))
    form = cast(IdForm, node.choice("form", get_args(IdForm), "exact"))
    region = node.optional_text("region")
    if region is not None and form != "phone":
        raise node.error(f"a region has no meaning for ids of form {form}", "region")
    if region is not None and region not in phonenumbers.SUPPORTED_REGIONS:
        raise node.error(
            f"unknown region {region!r}", "region", remedy="Use two ISO 3166 letters, such as JP"
        )
    return form, region


def _row(
    section: Section, name: str, period: Period, folder: Path, parties: tuple[RowTerms, ...]
) -> RowSide:
    dimensions = read_dimensions(section, folder)
    if not dimensions:
        raise section.error(
            "there is no row dimension", "dimensions", remedy="Declare at least one"
        )
    time = _time(section, period)
    if period.grain != "none" and time is None:
        raise section.error(
            "time is missing", "time", remedy=f"Name the time column, or set {_NO_PERIOD}"
        )
    dataset = parties[0].dataset if len(parties) == 1 else read_dataset(section, f"{name}/row")
    several = parties if len(parties) > 1 else ()
    weight = section.optional_text("weight")
    return RowSide(read_columns(section), dimensions, time, weight, dataset, several)


def _column(
    section: Section, name: str, period: Period, folder: Path, parties: tuple[ColumnTerms, ...]
) -> ColumnSide:
    dimensions = read_dimensions(section, folder)
    time = _time(section, period)
    windows = read_windows(section, period)
    if not dimensions and not windows:
        raise section.error(
            "there is no column dimension", "dimensions", remedy="Declare one, or a window"
        )
    if time is not None and windows:
        raise section.error(
            "time and windows are both given", "time", remedy="A window's anchor takes its place"
        )
    if period.grain != "none" and time is None and not windows:
        raise section.error(
            "time is missing",
            "time",
            remedy=f"Name the time column, give windows, or set {_NO_PERIOD}",
        )
    if windows and any(d.name == OFFSET for d in dimensions):
        raise section.error(f"{OFFSET!r} is the name of the windows' dimension", "dimensions")
    offset_dimension = section.flag("offset_dimension", True)
    dataset = parties[0].dataset if len(parties) == 1 else read_dataset(section, f"{name}/column")
    several = parties if len(parties) > 1 else ()
    terms = (time, windows, offset_dimension, dataset, several)
    return ColumnSide(read_columns(section), dimensions, *terms, read_measures(section))


_NO_PERIOD = "study.period.grain: none"


def _time(section: Section, period: Period) -> str | None:
    time = section.optional_text("time")
    if time is not None and period.grain == "none":
        raise section.error(
            "time has no meaning with period grain none", "time", remedy="Remove it, or set a grain"
        )
    return time
