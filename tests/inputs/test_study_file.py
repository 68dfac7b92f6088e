"""Study files: what a study may say, and what becomes of it."""

from __future__ import annotations

import datetime as dt
import pickle
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.inputs.studies import SIMPLE, TIMED, changed
from tests.sizes import every_other
from xstat_ray.errors import StudyError
from xstat_ray.inputs.study_file import load, parse
from xstat_ray.model.period import Period
from xstat_ray.model.study import Bounds, Privacy, View, Window

NYCFLIGHTS = Path(__file__).parents[2] / "conf" / "study" / "nycflights.yaml"


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
    assert study.bounds == Bounds(2, 3, 4000, per_column=2)
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
    "path", every_other(3, sorted(NYCFLIGHTS.parent.glob("*.yaml"))), ids=lambda path: path.stem
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
        ('mesh\n1\n""\n', "empty value .*row 2"),
        ("mesh\n", "no rows .*areas.csv, key study.row.dimensions"),
        ("Mesh\n1\n", "no such column .*column mesh.*Did you mean"),
    ],
)
def test_domain_files_are_checked(tmp_path, content, message):
    (tmp_path / "areas.csv").write_text(content)
    dimension = {"name": "area", "file": "areas.csv", "field": "mesh"}
    with pytest.raises(StudyError, match=message):
        parse(
            changed(SIMPLE, "study.row.dimensions.0", dimension),
            origin=str(tmp_path / "study.yaml"),
        )


def test_the_example_study():
    study = load(NYCFLIGHTS)
    assert (study.cells, study.slots) == (105 * 24, 36)
    assert study.bounds == Bounds(8, 1, 4000)
    assert study.privacy == Privacy("auto", suppress_below=20, publish="distinct")
    assert study.title.keys() == {"en", "ja"}


def test_what_insiders_face_belongs_to_the_study():
    drawn = parse(TIMED, origin="a.yaml")
    shared = parse(changed(TIMED, "privacy.insiders", "shared"), origin="a.yaml")
    assert (drawn.privacy.insiders, shared.privacy.insiders) == ("full", "shared")
    plain = parse(SIMPLE, origin="a.yaml")
    checked = parse(changed(SIMPLE, "privacy.checked", 3), origin="a.yaml")
    assert (plain.privacy.checked, checked.privacy.checked) == (1, 3)
    assert len({study.digest for study in (drawn, shared, plain, checked)}) == 4


def test_smoothing_belongs_to_the_study():
    plain = parse(SIMPLE, origin="a.yaml")
    smoothed = parse(changed(SIMPLE, "privacy.smooth", True), origin="a.yaml")
    assert (plain.privacy.smooth, smoothed.privacy.smooth) == (False, True)
    assert plain.digest != smoothed.digest


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


def test_what_came_later_changes_no_study_that_does_not_use_it():
    """The digest is that of the version before; parties of both would still disagree on software."""
    digest = "2edaef179c3aebef36e9d664d5e46197742f02e1f210a9c12dcf2634631fb00a"
    assert parse(SIMPLE, origin="a.yaml").digest.hex() == digest
    missing = changed(SIMPLE, "study.column.dimensions.0.missing", "unknown")
    study = parse(missing, origin="b.yaml")
    assert study.digest.hex() != digest
    dimension = study.column.dimensions[0]
    assert (dimension.labels[-1], dimension.members[-1]) == (dimension.missing, ())
