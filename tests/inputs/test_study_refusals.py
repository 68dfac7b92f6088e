"""Whatever is wrong with a study file is refused, and named by its key."""

from __future__ import annotations

import datetime as dt
import re

import pytest
import yaml

from tests.inputs.studies import SIMPLE, TIMED, changed
from xstat_ray.errors import StudyError
from xstat_ray.inputs.study_file import load, parse

ROW = "study.row.dimensions.0"
COLUMN = "study.column.dimensions.0"
WINDOW = "study.column.windows.0"


def window(**fields: object) -> dict[str, object]:
    return {"anchor": "t", "unit": "hour", **fields}


@pytest.mark.parametrize(
    ("base", "path", "value", "key", "message"),
    [
        (SIMPLE, "studdy", {}, "", "unknown key.*Did you mean 'study'"),
        (SIMPLE, "study", ..., "", "missing"),
        (SIMPLE, "study", [], "", "not a mapping"),
        (SIMPLE, "study.rows", {}, "", "unknown key.*Did you mean 'row'"),
        (SIMPLE, "study.name", ..., "", "missing"),
        (SIMPLE, "study.name", "a b/c", "", "plain word"),
        (SIMPLE, "study.name", 5, "", "not a text"),
        (SIMPLE, "study.title", {"en": 5}, ".en", "not a text"),
        (SIMPLE, "study.title", "x", "", "not a mapping"),
        (SIMPLE, "study.id", "mail", ".form", "not supported.*exact, text, phone, email"),
        (SIMPLE, "study.id", {"form": "exact", "region": "JP"}, ".region", "no meaning"),
        (SIMPLE, "study.id", {"form": "phone", "region": "XX"}, ".region", "unknown region"),
        (SIMPLE, "study.row", ..., "", "missing"),
        (SIMPLE, "study.row.id", ..., "", "missing"),
        (SIMPLE, "study.row.id", True, "", "not a text.*quotes"),
        (SIMPLE, "study.row.dataset", " ", "", "not a text"),
        (SIMPLE, "study.row.dimensions", [], "", "no row dimension"),
        (SIMPLE, "study.row.dimensions", {"name": "x"}, "", "not a list"),
        (SIMPLE, "study.column.dimensions", ..., "", "no column dimension"),
        (SIMPLE, f"{ROW}.vales", [], "", "unknown key.*'values'"),
        (SIMPLE, f"{ROW}.name", ..., "", "missing"),
        (SIMPLE, f"{ROW}.name", "noisy", "", "taken"),
        (
            SIMPLE,
            f"{ROW}.values",
            ...,
            "study.row.dimensions[0]",
            "domain is missing.*exactly one of",
        ),
        (
            SIMPLE,
            f"{ROW}.range",
            [0, 1],
            "study.row.dimensions[0]",
            "values and range are both given",
        ),
        (SIMPLE, f"{ROW}.field", "mesh", "", "without file"),
        (SIMPLE, f"{ROW}.values", [], "", "empty"),
        (SIMPLE, f"{ROW}.values", "A", "", "not a list"),
        (SIMPLE, f"{ROW}.values", ["A", "A"], "", "label 'A' occurs twice"),
        (SIMPLE, f"{ROW}.values", [5, "5"], "", "label '5' occurs twice"),
        (SIMPLE, f"{ROW}.values", yaml.safe_load("[SE, NO]"), "[1]", "bool.*quotes"),
        (SIMPLE, f"{ROW}.values", yaml.safe_load("[~]"), "[0]", "empty value"),
        (SIMPLE, f"{ROW}.values", ["A", ""], "[1]", "empty value"),
        (SIMPLE, f"{ROW}.values", yaml.safe_load("[2023-08-28]"), "[0]", "date.*quotes"),
        (SIMPLE, f"{ROW}.values", [1.5], "[0]", "float"),
        (SIMPLE, ROW, {"name": "h", "range": [3, 2]}, ".range", "ends before it begins"),
        (SIMPLE, ROW, {"name": "h", "range": [3]}, ".range", "not a pair"),
        (SIMPLE, ROW, {"name": "h", "range": [0, 2.0]}, ".range[1]", "whole number"),
        (SIMPLE, ROW, {"name": "h", "range": [0, True]}, ".range[1]", "whole number"),
        (SIMPLE, ROW, {"name": "h", "range": [0, 10**12]}, ".range", "more than 10000000"),
        (SIMPLE, ROW, {"name": "f", "file": "no.csv", "field": "x"}, ".file", "no such file"),
        (SIMPLE, ROW, {"name": "f", "file": "no.csv"}, ".field", "missing"),
        (
            SIMPLE,
            f"{COLUMN}.name",
            "dest",
            "study.column.dimensions",
            "both have a dimension 'dest'",
        ),
        (SIMPLE, f"{COLUMN}.groups", {}, "", "not a mapping"),
        (SIMPLE, f"{COLUMN}.groups", {"A": []}, ".A", "empty"),
        (SIMPLE, f"{COLUMN}.groups", {"A": "x"}, ".A", "not a list"),
        (SIMPLE, f"{COLUMN}.groups", {False: ["x"]}, "", "bool.*quotes"),
        (SIMPLE, f"{COLUMN}.groups", {"A": ["x"], "B": ["x"]}, "", "'x' occurs twice"),
        (SIMPLE, f"{COLUMN}.other", "Boeing", "", "label 'Boeing' occurs twice"),
        (SIMPLE, f"{COLUMN}.missing", "Boeing", "", "label 'Boeing' occurs twice"),
        (SIMPLE, "study.row.time", "t", "", "no meaning with period grain none"),
        (SIMPLE, "study.column.time", "t", "", "no meaning with period grain none"),
        (SIMPLE, "study.column.windows", [window(offsets=[0])], "", "no meaning"),
        (SIMPLE, "study.period", {"grain": "none", "start": "2023-01-01"}, ".start", "no meaning"),
        (SIMPLE, "study.period", {}, ".grain", "missing"),
        (TIMED, "study.period.grain", "decade", "", "not supported.*15min"),
        (TIMED, "study.period.start", ..., "", "missing"),
        (TIMED, "study.period.end", "soon", "", "not a date"),
        (TIMED, "study.period.end", 2024, "", "not a date"),
        (TIMED, "study.period.end", "2023-08-28", "", "not after start"),
        (TIMED, "study.period.start", "1969-01-01", "", "before 1970"),
        (TIMED, "study.period.timezone", "Asia/Tokio", "", "unknown timezone"),
        (TIMED, "study.period.timezone", "../etc", "", "unknown timezone"),
        (TIMED, "study.row.time", ..., "", "missing"),
        (TIMED, "study.column.windows", ..., "study.column.time", "missing"),
        (TIMED, "study.column.time", "t", "", "time and windows are both given"),
        (TIMED, "study.column.offset_dimension", "yes", "", "neither true nor false"),
        (TIMED, f"{COLUMN}.name", "offset", "study.column.dimensions", "'offset' is the name of"),
        (TIMED, f"{WINDOW}.anchor", ..., "", "missing"),
        (TIMED, f"{WINDOW}.unit", "fortnight", "", "not supported"),
        (TIMED, f"{WINDOW}.to", ..., "", "missing"),
        (TIMED, f"{WINDOW}.to", -7, "", "not ascending"),
        (TIMED, f"{WINDOW}.to", 10**30, "", "more than 100,000 offsets"),
        (TIMED, f"{WINDOW}.to", 1.5, "", "whole numbers"),
        (TIMED, f"{WINDOW}.step", 0, "", "at least 1"),
        (TIMED, f"{WINDOW}.offsets", [1], "study.column.windows[0].from", "both given"),
        (TIMED, WINDOW, window(offsets=[]), ".offsets", "empty"),
        (TIMED, WINDOW, window(offsets=[1, 1]), ".offsets", "not ascending"),
        (TIMED, WINDOW, window(offsets=[2, 1]), ".offsets", "not ascending"),
        (TIMED, WINDOW, window(offsets=[10, 40], unit="minute"), ".offsets", "same period"),
        (TIMED, WINDOW, window(offsets=[999], unit="day"), ".offsets", "further than the"),
        (
            TIMED,
            "study.column.windows.1",
            window(name="departure", offsets=[-6]),
            "study.column.windows",
            "ure-6h'",
        ),
        (SIMPLE, "study.bounds.rows", 0, "", "at least 1"),
        (SIMPLE, "study.bounds.boardings", 1.5, "", "whole number"),
        (SIMPLE, "study.bounds.per_column", 0, "", "at least 1"),
        (SIMPLE, "study.bounds.persons", True, "", "whole number"),
        (SIMPLE, "study.bounds.people", 5, "", "unknown key"),
        (SIMPLE, "privacy.noise", "none", "", "not supported"),
        (SIMPLE, "privacy.noise", True, "", "not a text"),
        (SIMPLE, "privacy.releases", 0, "", "at least 1"),
        (SIMPLE, "privacy.mechanism", "wavelet", "", "not supported"),
        (SIMPLE, "privacy.epsilon", 0, "", "not positive"),
        (SIMPLE, "privacy.epsilon", "1/0", "", "not a number"),
        (SIMPLE, "privacy.epsilon", float("inf"), "", "not a number"),
        (SIMPLE, "privacy.epsilon", True, "", "not a number"),
        (SIMPLE, "privacy.epsilon", [1], "", "not a number"),
        (SIMPLE, "privacy.delta", -0.1, "", "at least 0"),
        (SIMPLE, "privacy.delta", 1, "", "below 1"),
        (TIMED, "privacy.delta", 0, "", "gaussian noise needs a positive delta"),
        (SIMPLE, "privacy.insiders", "some", "", "not supported"),
        (SIMPLE, "privacy.insiders", "shared", "", "every role faces all of laplace noise"),
        (SIMPLE, "privacy.checked", 0, "", "at least 1"),
        (TIMED, "privacy.checked", 2, "", "shares of gaussian noise cannot be checked"),
        (SIMPLE, "privacy.cap", 0.5, "", "cap is below epsilon"),
        (SIMPLE, "privacy.suppress_below", -1, "", "at least 0"),
        (SIMPLE, "privacy.suppress_below", 1.5, "", "whole number"),
    ],
)
def test_what_is_wrong_is_named(base, path, value, key, message):
    """The error points at `key`: a path below the changed one, or a whole one from `study` on."""
    raw = changed(base, path, value)
    with pytest.raises(StudyError, match=message) as caught:
        parse(raw, origin="study.yaml")
    assert caught.value.key == (key if key.startswith("study.") else _key(path) + key)


def _key(path: str) -> str:
    """The key as errors write it: study.row.dimensions[0] for study.row.dimensions.0."""
    return re.sub(r"\.(\d+)", r"[\1]", path)


def test_a_table_that_is_too_large_is_refused():
    dimensions = [{"name": name, "range": [1, 10_000]} for name in ("x", "y")]
    with pytest.raises(StudyError, match=r"100000000 combinations.*key study.row.dimensions"):
        parse(changed(SIMPLE, "study.row.dimensions", dimensions), origin="x")


def test_two_dimensions_of_one_name_are_refused():
    dimensions = [{"name": "x", "range": [1, 2]}] * 2
    with pytest.raises(StudyError, match=r"'x' is taken .*dimensions\[1\]\.name"):
        parse(changed(SIMPLE, "study.row.dimensions", dimensions), origin="x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("study: [", "not valid YAML"),
        ("study: {name: a, name: b}", "occurs twice"),
        ("study: {name: '${nothing}'}", "not valid YAML"),
        ("study: &a {name: [*a]}", "nested without end"),
        ("", "study is missing"),
        ("- a\n", "not a mapping"),
    ],
)
def test_files_that_are_not_studies(tmp_path, content, message):
    path = tmp_path / "study.yaml"
    path.write_text(content)
    with pytest.raises(StudyError, match=message) as caught:
        load(path)
    assert caught.value.file == str(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(StudyError, match="cannot be read"):
        load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        ("privacy.padding", "some", "privacy.padding"),
        ("privacy.view.epsilon", 0, "privacy.view.epsilon"),
        ("privacy.view.delta", 0, "privacy.view.delta"),
        ("privacy.view.delta", 1, "privacy.view.delta"),
        ("privacy.view.rho", 1, "privacy.view.rho"),
    ],
)
def test_a_view_that_means_nothing_is_refused(path, value, key):
    with pytest.raises(StudyError) as caught:
        parse(changed(SIMPLE, path, value), origin="a.yaml")
    assert (caught.value.key == key and caught.value.remedy) or "positive" in str(caught.value)


def test_a_time_zone_that_only_one_library_knows(monkeypatch):
    """The times of tables are read by another than those of a study."""
    monkeypatch.setattr("xstat_ray.inputs.study_times.ZoneInfo", lambda name: dt.UTC)
    raw = changed(TIMED, "study.period.timezone", "Mars/Base")
    with pytest.raises(StudyError, match="unknown timezone 'Mars/Base'"):
        parse(raw, origin="s.yaml")
