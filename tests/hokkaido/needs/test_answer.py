"""The answer from published releases: its tables, what is unknown, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.hokkaido.needs.country import (
    DAYS,
    SHARE,
    Country,
    catchment_cells,
    make_country,
    population_of,
    publish_all,
    release_of,
)
from xstat_ray.errors import InputError
from xstat_ray.hokkaido.needs.access import AIRPORTS, areas
from xstat_ray.hokkaido.needs.answer import Assumptions, Folders, answer
from xstat_ray.hokkaido.needs.index import Sampling

QUICK = Assumptions(sampling=Sampling(draws=200))


@pytest.fixture(scope="module")
def country() -> Country:
    return make_country(5, passengers=20_000)


@pytest.fixture(scope="module")
def folders(country: Country, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return publish_all(country, tmp_path_factory.mktemp("releases"))


@pytest.fixture(scope="module")
def exact(country: Country, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return publish_all(country, tmp_path_factory.mktemp("exact"), "off")


def by_name(table: pa.Table) -> dict[str, dict[str, Any]]:
    """Index the rows of a table by area."""
    return {row["name_en"]: row for row in table.to_pylist()}


def test_without_noise_all_values_are_those_of_the_counts(country, exact):
    found = answer(exact, QUICK)
    assert found.noise_free
    needs = by_name(found.tables["needs"])
    names = areas()["name_en"].to_pylist()
    place = names.index("Nemuro")
    row = needs["Nemuro"]
    assert row["visitors"] == pytest.approx(country.visitors[place])
    assert row["flyers"] == pytest.approx(country.watershed_seen[place].sum() / SHARE / DAYS)
    assert row["air_share"] == pytest.approx(row["flyers"] / row["visitors"])
    assert (row["visitors_stderr"], row["counted_minutes_stderr"]) == (0, 0)
    # The sample is chance even where the counts are exact; each person counts for two days.
    people = country.watershed_seen[place].sum() / 2
    assert row["flyers_stderr"] == pytest.approx(2 * np.sqrt((1 - SHARE) * people) / SHARE / DAYS)
    counted = country.watershed_seen[place].sum(axis=0)
    assert row["main_airport"] == AIRPORTS[counted.argmax()]
    assert row["overlap"] == pytest.approx(np.sort(counted)[-2] / counted.max())


def test_the_table_is_ranked_with_both_names_and_intervals(folders):
    table = answer(folders, QUICK).tables["needs"]
    assert table["rank"].to_pylist() == list(range(1, 51))
    rows = table.to_pylist()
    assert all(row["rank_low"] <= row["rank"] <= row["rank_high"] for row in rows[:5])
    assert all(row["need_low95"] <= row["need"] <= row["need_high95"] for row in rows[:5])
    assert by_name(table)["Nemuro"]["name_ja"] == "根室市"
    assert sum(row["in_top"] for row in rows) == pytest.approx(5)


def test_noise_off_in_one_source_marks_the_answer(folders, exact):
    assert not answer(folders, QUICK).noise_free
    mixed = answer(replace(folders, catchment=exact.catchment), QUICK)
    assert mixed.noise_free
    assert [key for key, source in mixed.sources.items() if source["noise_free"]] == ["catchment"]


def test_an_area_that_was_not_published_is_unknown_and_last(country, folders, tmp_path):
    missing = population_of(country, tmp_path, missing=("01223",))
    table = answer(replace(folders, population=missing), QUICK).tables["needs"]
    last = table.to_pylist()[-1]
    assert last["name_en"] == "Nemuro"
    assert (
        last["rank"]
        is last["need"]
        is last["need_low95"]
        is last["visitors"]
        is last["air_share"]
        is None
    )
    assert last["flyers"] is not None


def test_what_too_few_passengers_show_is_unknown(folders, country, tmp_path):
    nobody = replace(country, watershed_seen=np.zeros_like(country.watershed_seen))
    few = release_of("catchment", catchment_cells(nobody), tmp_path / "catchment")
    rows = answer(replace(folders, catchment=few), QUICK).tables["needs"].to_pylist()
    assert sum(row["main_airport"] is None and row["overlap"] is None for row in rows) > 35
    assert all(row["rank"] for row in rows)


def test_boarding_only_where_its_study_is_given(folders):
    assert set(answer(replace(folders, preboarding=None), QUICK).tables) == {
        "needs",
        "hours",
        "watershed",
        "opening",
        "region",
    }
    boarding = answer(folders, QUICK).tables["boarding"]
    assert len(boarding) == 5 * 2 * 4 * 3
    near = [
        row
        for row in boarding.to_pylist()
        if row["state"] == "near airport" and row["airport"] == "KUH"
    ]
    late = {row["before"]: row["share"] for row in near if row["flight"] == "afternoon"}
    assert late["departure-20m"] > late["departure-60m"] > late["departure-1440m"]


def test_releases_in_the_wrong_place_are_refused(folders):
    with pytest.raises(InputError, match=r"releases\.movement, column .*study=doto_movement"):
        answer(replace(folders, movement=folders.catchment))
    with pytest.raises(InputError, match=r"releases\.population, column .*xstat-ray population"):
        answer(replace(folders, population=folders.catchment))


def test_releases_of_other_people_are_refused(folders, tmp_path):
    for file in folders.catchment.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(
        json.dumps(manifest | {"datasets": {"row": "other", "column": "airline"}})
    )
    with pytest.raises(
        InputError,
        match=r"data sets other, airline, .*doto_movement of operator, airline .*manifest",
    ):
        answer(replace(folders, catchment=tmp_path))
