from __future__ import annotations

import copy
import datetime as dt
import pickle
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from xstat_ray.errors import StudyError
from xstat_ray.inputs.study_file import load, parse
from xstat_ray.model.study import Bounds, Period, Privacy, View, Window

NYCFLIGHTS = Path(__file__).parents[2] / "conf" / "study" / "nycflights.yaml"

SIMPLE = yaml.safe_load("""
study:
  name: flights
  row: {id: tail, dimensions: [{name: dest, values: [A, B]}]}
  column: {id: tail, dimensions: [{name: maker, column: made_by, groups: {Boeing: [BOEING]}, other: Other}]}
""")

TIMED = yaml.safe_load("""
study:
  name: hokkaido
  title: {en: Before boarding, ja: 搭乗前}
  id: {form: phone, region: JP}
  period: {grain: hour, start: 2023-08-28, end: "2024-04-01T00:00", timezone: Asia/Tokyo}
  row:
    {id: phone, time: hour, weight: dwell, dataset: telecom, dimensions: [{name: area, column: mesh, range: [1, 3]}]}
  column:
    id: phone
    dimensions: [{name: route, values: [HND-CTS]}]
    windows:
      - {anchor: departure_time, name: departure, unit: hour, from: -6, to: -1}
      - {anchor: arrival_time, name: arrival, unit: minute, offsets: [60, 180]}
  bounds: {rows: 2, boardings: 3, persons: 4000}
privacy: {noise: gaussian, mechanism: flat, epsilon: 0.1, delta: "1e-6", suppress_below: 20, cap: "1/3"}
data: {anything: goes}
""")


def changed(base, path, value):
    """`base` with `value` at a path such as study.row.dimensions.0.values; the value ...

    removes the key.
    """
    raw = copy.deepcopy(base)
    *parents, last = path.split(".")
    node = raw
    for part in parents:
        node = node[int(part)] if part.isdigit() else node.setdefault(part, {})
    last = int(last) if last.isdigit() else last
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return raw


def test_a_study_with_defaults():
    study = parse(SIMPLE, origin="flights.yaml")
    assert (study.name, study.id_form, study.id_region, study.title) == (
        "flights",
        "exact",
        None,
        {},
    )
    assert (study.period, study.bounds, study.privacy) == (Period(), Bounds(), Privacy())
    assert (study.row.dataset, study.column.dataset) == ("flights/row", "flights/column")
    dest = study.row.dimensions[0]
    maker = study.column.dimensions[0]
    assert (dest.column, dest.labels, dest.members, dest.other) == (
        "dest",
        ("A", "B"),
        (("A",), ("B",)),
        None,
    )
    assert (maker.column, maker.labels, maker.members) == (
        "made_by",
        ("Boeing", "Other"),
        (("BOEING",), ()),
    )
    assert (study.cells, study.slots) == (2, 2)


def test_a_study_with_everything():
    study = parse(TIMED, origin="hokkaido.yaml")
    assert (study.id_form, study.id_region, study.title["ja"]) == ("phone", "JP", "搭乗前")
    assert study.period.start == dt.datetime(2023, 8, 28, tzinfo=ZoneInfo("Asia/Tokyo"))
    assert study.period.end == dt.datetime(2024, 4, 1, tzinfo=ZoneInfo("Asia/Tokyo"))
    assert (study.row.time, study.row.weight, study.row.dataset) == ("hour", "dwell", "telecom")
    assert study.row.dimensions[0].labels == ("1", "2", "3")
    hours = tuple(-h * 3600 for h in range(6, 0, -1))
    assert study.column.windows == (
        Window("departure_time", hours, tuple(f"departure-{h}h" for h in range(6, 0, -1))),
        Window("arrival_time", (3600, 10_800), ("arrival+60m", "arrival+180m")),
    )
    assert study.bounds == Bounds(2, 3, 4000)
    assert study.privacy == Privacy(
        "gaussian", "flat", (), Fraction(1, 10), Fraction(1, 10**6), 20, Fraction(1, 3)
    )


def test_the_digest_does_not_depend_on_how_the_study_travelled():
    study = parse(TIMED, origin="a.yaml")
    assert (
        parse(changed(TIMED, "study.period.start", "2023-08-28"), origin="b.yaml").digest
        == study.digest
    )
    assert pickle.loads(pickle.dumps(study)).digest == study.digest
    assert parse(changed(TIMED, "privacy.epsilon", "1/10"), origin="c.yaml").digest == study.digest
    assert parse(changed(TIMED, "privacy.epsilon", 0.2), origin="c.yaml").digest != study.digest


@pytest.mark.parametrize(
    "path", sorted(NYCFLIGHTS.parent.glob("*.yaml")), ids=lambda path: path.stem
)
def test_the_shipped_studies_can_be_loaded_from_python(path):
    assert load(path).name == path.stem


def test_a_bare_off_is_a_noise():
    assert (
        parse(changed(SIMPLE, "privacy.noise", yaml.safe_load("off")), origin="x").privacy.noise
        == "off"
    )


def test_windows_alone_are_a_column_domain():
    study = parse(changed(TIMED, "study.column.dimensions", ...), origin="x")
    assert [name for name, _ in study.column_labels] == ["offset"]


def test_times_with_an_offset_of_their_own_are_moved_to_the_zone():
    study = parse(changed(TIMED, "study.period.start", "2023-08-28T00:00+00:00"), origin="x")
    assert study.period.start.isoformat() == "2023-08-28T09:00:00+09:00"


def test_whole_numbers_in_values_become_text():
    study = parse(changed(SIMPLE, "study.row.dimensions.0.values", [5, "07"]), origin="x")
    assert study.row.dimensions[0].labels == ("5", "07")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_domain_from_a_file_beside_the_study(tmp_path, suffix):
    if suffix == ".csv":
        (tmp_path / "areas.csv").write_text("name,mesh\nx,0644\ny,6441\n")
    else:
        pq.write_table(pa.table({"mesh": ["0644", "6441"]}), tmp_path / "areas.parquet")
    dimension = {"name": "area", "file": f"areas{suffix}", "field": "mesh"}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(changed(SIMPLE, "study.row.dimensions.0", dimension)))
    assert load(path).row.dimensions[0].labels == ("0644", "6441")


def test_a_domain_file_may_be_relative_to_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "areas.csv").write_text("mesh\n1\n")
    monkeypatch.chdir(tmp_path)
    dimension = {"name": "area", "file": "areas.csv", "field": "mesh"}
    study = parse(
        changed(SIMPLE, "study.row.dimensions.0", dimension), origin="elsewhere/study.yaml"
    )
    assert study.row.dimensions[0].labels == ("1",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("mesh\n1\n1\n", "'1' occurs twice .*key study.row.dimensions"),
        ("mesh\n1\n\"\"\n", "empty value .*row 2"),
        ("mesh\n", "no rows .*areas.csv, key study.row.dimensions"),
        ("Mesh\n1\n", "no such column .*column mesh.*Did you mean"),
    ],
)  # fmt: skip
def test_domain_files_are_checked(tmp_path, content, message):
    (tmp_path / "areas.csv").write_text(content)
    dimension = {"name": "area", "file": "areas.csv", "field": "mesh"}
    with pytest.raises(StudyError, match=message):
        parse(
            changed(SIMPLE, "study.row.dimensions.0", dimension),
            origin=str(tmp_path / "study.yaml"),
        )


ROW = "study.row.dimensions.0"
COLUMN = "study.column.dimensions.0"
WINDOW = "study.column.windows.0"


def window(**fields):
    return {"anchor": "t", "unit": "hour", **fields}


@pytest.mark.parametrize(
    ("base", "path", "value", "key", "message"),
    [
        (SIMPLE, "studdy", {}, "studdy", "unknown key.*Did you mean 'study'"),
        (SIMPLE, "study", ..., "study", "missing"),
        (SIMPLE, "study", [], "study", "not a mapping"),
        (SIMPLE, "study.rows", {}, "study.rows", "unknown key.*Did you mean 'row'"),
        (SIMPLE, "study.name", ..., "study.name", "missing"),
        (SIMPLE, "study.name", "a b/c", "study.name", "plain word"),
        (SIMPLE, "study.name", 5, "study.name", "not a text"),
        (SIMPLE, "study.title", {"en": 5}, "study.title.en", "not a text"),
        (SIMPLE, "study.title", "x", "study.title", "not a mapping"),
        (SIMPLE, "study.id", "mail", "study.id.form", "not supported.*exact, text, phone, email"),
        (SIMPLE, "study.id", {"form": "exact", "region": "JP"}, "study.id.region", "no meaning"),
        (SIMPLE, "study.id", {"form": "phone", "region": "XX"}, "study.id.region", "unknown region"),
        (SIMPLE, "study.row", ..., "study.row", "missing"),
        (SIMPLE, "study.row.id", ..., "study.row.id", "missing"),
        (SIMPLE, "study.row.id", True, "study.row.id", "not a text.*quotes"),
        (SIMPLE, "study.row.dataset", " ", "study.row.dataset", "not a text"),
        (SIMPLE, "study.row.dimensions", [], "study.row.dimensions", "no row dimension"),
        (SIMPLE, "study.row.dimensions", {"name": "x"}, "study.row.dimensions", "not a list"),
        (SIMPLE, "study.column.dimensions", ..., "study.column.dimensions", "no column dimension"),
        (SIMPLE, f"{ROW}.vales", [], "study.row.dimensions[0].vales", "unknown key.*'values'"),
        (SIMPLE, f"{ROW}.name", ..., "study.row.dimensions[0].name", "missing"),
        (SIMPLE, f"{ROW}.name", "noisy", "study.row.dimensions[0].name", "taken"),
        (SIMPLE, f"{ROW}.values", ..., "study.row.dimensions[0]", "domain is missing.*exactly one of"),
        (SIMPLE, f"{ROW}.range", [0, 1], "study.row.dimensions[0]", "values and range are both given"),
        (SIMPLE, f"{ROW}.field", "mesh", "study.row.dimensions[0].field", "without file"),
        (SIMPLE, f"{ROW}.values", [], "study.row.dimensions[0].values", "empty"),
        (SIMPLE, f"{ROW}.values", "A", "study.row.dimensions[0].values", "not a list"),
        (SIMPLE, f"{ROW}.values", ["A", "A"], "study.row.dimensions[0].values", "label 'A' occurs twice"),
        (SIMPLE, f"{ROW}.values", [5, "5"], "study.row.dimensions[0].values", "label '5' occurs twice"),
        (SIMPLE, f"{ROW}.values", yaml.safe_load("[SE, NO]"), "study.row.dimensions[0].values[1]", "bool.*quotes"),
        (SIMPLE, f"{ROW}.values", yaml.safe_load("[~]"), "study.row.dimensions[0].values[0]", "empty value"),
        (SIMPLE, f"{ROW}.values", ["A", ""], "study.row.dimensions[0].values[1]", "empty value"),
        (SIMPLE, f"{ROW}.values", yaml.safe_load("[2023-08-28]"), "study.row.dimensions[0].values[0]", "date.*quotes"),
        (SIMPLE, f"{ROW}.values", [1.5], "study.row.dimensions[0].values[0]", "float"),
        (SIMPLE, ROW, {"name": "h", "range": [3, 2]}, "study.row.dimensions[0].range", "ends before it begins"),
        (SIMPLE, ROW, {"name": "h", "range": [3]}, "study.row.dimensions[0].range", "not a pair"),
        (SIMPLE, ROW, {"name": "h", "range": [0, 2.0]}, "study.row.dimensions[0].range[1]", "whole number"),
        (SIMPLE, ROW, {"name": "h", "range": [0, True]}, "study.row.dimensions[0].range[1]", "whole number"),
        (SIMPLE, ROW, {"name": "h", "range": [0, 10**12]}, "study.row.dimensions[0].range", "more than 10000000"),
        (SIMPLE, ROW, {"name": "f", "file": "no.csv", "field": "x"}, "study.row.dimensions[0].file", "no such file"),
        (SIMPLE, ROW, {"name": "f", "file": "no.csv"}, "study.row.dimensions[0].field", "missing"),
        (SIMPLE, f"{COLUMN}.name", "dest", "study.column.dimensions", "both have a dimension 'dest'"),
        (SIMPLE, f"{COLUMN}.groups", {}, "study.column.dimensions[0].groups", "not a mapping"),
        (SIMPLE, f"{COLUMN}.groups", {"A": []}, "study.column.dimensions[0].groups.A", "empty"),
        (SIMPLE, f"{COLUMN}.groups", {"A": "x"}, "study.column.dimensions[0].groups.A", "not a list"),
        (SIMPLE, f"{COLUMN}.groups", {False: ["x"]}, "study.column.dimensions[0].groups", "bool.*quotes"),
        (SIMPLE, f"{COLUMN}.groups", {"A": ["x"], "B": ["x"]}, "study.column.dimensions[0].groups", "'x' occurs twice"),
        (SIMPLE, f"{COLUMN}.other", "Boeing", "study.column.dimensions[0].other", "label 'Boeing' occurs twice"),
        (SIMPLE, "study.row.time", "t", "study.row.time", "no meaning with period grain none"),
        (SIMPLE, "study.column.time", "t", "study.column.time", "no meaning with period grain none"),
        (SIMPLE, "study.column.windows", [window(offsets=[0])], "study.column.windows", "no meaning"),
        (SIMPLE, "study.period", {"grain": "none", "start": "2023-01-01"}, "study.period.start", "no meaning"),
        (SIMPLE, "study.period", {}, "study.period.grain", "missing"),
        (TIMED, "study.period.grain", "week", "study.period.grain", "not supported.*15min"),
        (TIMED, "study.period.start", ..., "study.period.start", "missing"),
        (TIMED, "study.period.end", "soon", "study.period.end", "not a date"),
        (TIMED, "study.period.end", 2024, "study.period.end", "not a date"),
        (TIMED, "study.period.end", "2023-08-28", "study.period.end", "not after start"),
        (TIMED, "study.period.start", "1969-01-01", "study.period.start", "before 1970"),
        (TIMED, "study.period.timezone", "Asia/Tokio", "study.period.timezone", "unknown timezone"),
        (TIMED, "study.period.timezone", "../etc", "study.period.timezone", "unknown timezone"),
        (TIMED, "study.row.time", ..., "study.row.time", "missing"),
        (TIMED, "study.column.windows", ..., "study.column.time", "missing"),
        (TIMED, "study.column.time", "t", "study.column.time", "time and windows are both given"),
        (TIMED, "study.column.offset_dimension", "yes", "study.column.offset_dimension", "neither true nor false"),
        (TIMED, f"{COLUMN}.name", "offset", "study.column.dimensions", "'offset' is the name of"),
        (TIMED, f"{WINDOW}.anchor", ..., "study.column.windows[0].anchor", "missing"),
        (TIMED, f"{WINDOW}.unit", "week", "study.column.windows[0].unit", "not supported"),
        (TIMED, f"{WINDOW}.to", ..., "study.column.windows[0].to", "missing"),
        (TIMED, f"{WINDOW}.to", -7, "study.column.windows[0].to", "not ascending"),
        (TIMED, f"{WINDOW}.to", 10**30, "study.column.windows[0].to", "more than 100,000 offsets"),
        (TIMED, f"{WINDOW}.to", 1.5, "study.column.windows[0].to", "whole numbers"),
        (TIMED, f"{WINDOW}.step", 0, "study.column.windows[0].step", "at least 1"),
        (TIMED, f"{WINDOW}.offsets", [1], "study.column.windows[0].from", "both given"),
        (TIMED, WINDOW, window(offsets=[]), "study.column.windows[0].offsets", "empty"),
        (TIMED, WINDOW, window(offsets=[1, 1]), "study.column.windows[0].offsets", "not ascending"),
        (TIMED, WINDOW, window(offsets=[2, 1]), "study.column.windows[0].offsets", "not ascending"),
        (TIMED, WINDOW, window(offsets=[10, 40], unit="minute"), "study.column.windows[0].offsets", "same period"),
        (TIMED, WINDOW, window(offsets=[999], unit="day"), "study.column.windows[0].offsets", "further than the"),
        (TIMED, "study.column.windows.1", window(name="departure", offsets=[-6]), "study.column.windows", "ure-6h'"),
        (SIMPLE, "study.bounds.rows", 0, "study.bounds.rows", "at least 1"),
        (SIMPLE, "study.bounds.boardings", 1.5, "study.bounds.boardings", "whole number"),
        (SIMPLE, "study.bounds.persons", True, "study.bounds.persons", "whole number"),
        (SIMPLE, "study.bounds.people", 5, "study.bounds.people", "unknown key"),
        (SIMPLE, "privacy.noise", "none", "privacy.noise", "not supported"),
        (SIMPLE, "privacy.noise", True, "privacy.noise", "not a text"),
        (SIMPLE, "privacy.mechanism", "wavelet", "privacy.mechanism", "not supported"),
        (SIMPLE, "privacy.epsilon", 0, "privacy.epsilon", "not positive"),
        (SIMPLE, "privacy.epsilon", "1/0", "privacy.epsilon", "not a number"),
        (SIMPLE, "privacy.epsilon", float("inf"), "privacy.epsilon", "not a number"),
        (SIMPLE, "privacy.epsilon", True, "privacy.epsilon", "not a number"),
        (SIMPLE, "privacy.epsilon", [1], "privacy.epsilon", "not a number"),
        (SIMPLE, "privacy.delta", -0.1, "privacy.delta", "at least 0"),
        (SIMPLE, "privacy.delta", 1, "privacy.delta", "below 1"),
        (SIMPLE, "privacy.delta", 0.5, "privacy.delta", "laplace noise needs no delta"),
        (TIMED, "privacy.delta", ..., "privacy.delta", "gaussian noise needs a positive delta"),
        (SIMPLE, "privacy.cap", 0.5, "privacy.cap", "cap is below epsilon"),
        (SIMPLE, "privacy.suppress_below", -1, "privacy.suppress_below", "at least 0"),
        (SIMPLE, "privacy.suppress_below", 1.5, "privacy.suppress_below", "whole number"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(base, path, value, key, message):
    raw = changed(base, path, value)
    with pytest.raises(StudyError, match=message) as caught:
        parse(raw, origin="study.yaml")
    assert caught.value.key == key


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
        ("study: {name: a, name: b}", "not valid YAML"),
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


def test_the_example_study():
    study = load(NYCFLIGHTS)
    assert (study.cells, study.slots) == (105 * 24, 36)
    assert study.bounds == Bounds(8, 1, 4000)
    assert study.privacy == Privacy(suppress_below=20)
    assert study.title.keys() == {"en", "ja"}


def test_padding_belongs_to_the_study():
    plain = parse(SIMPLE, origin="a.yaml")
    assert plain.privacy.padding == "off" and plain.privacy.view == View(
        Fraction(1), Fraction(1, 10**9)
    )
    # YAML 1.1 reads a bare `off` as false.
    assert parse(changed(SIMPLE, "privacy.padding", False), origin="a.yaml").digest == plain.digest
    padded = parse(changed(SIMPLE, "privacy.padding", "dp"), origin="a.yaml")
    view = changed(
        changed(SIMPLE, "privacy.padding", "dp"), "privacy.view", {"epsilon": "1/3", "delta": 1e-7}
    )
    finer = parse(view, origin="a.yaml")
    assert finer.privacy.view == View(Fraction(1, 3), Fraction(1, 10**7))
    assert len({plain.digest, padded.digest, finer.digest}) == 3


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
