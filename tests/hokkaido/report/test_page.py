"""The page: one file, small, equal for equal releases, and blind to what was suppressed."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.sizes import thorough
from xstat_ray.hokkaido.report import page as page_module
from xstat_ray.hokkaido.report.make import PAGE, read, write


def make(folder: Path, *runs: Path) -> bytes:
    """Write the report of some runs, and read the page."""
    write(read(runs), folder, language="ja", geofiles=False, figures=False)
    return (folder / PAGE).read_bytes()


def test_nothing_is_asked_of_a_network(report):
    text = (report / PAGE).read_text()
    outside = re.findall(
        r"""(?:src|href)\s*=\s*["'](?!#|data:|blob:)[^"']+|url\(\s*["']?(?!["']?data:)[^)]{1,40}""",
        text,
    )
    assert [link for link in outside if "maplibre.org" not in link and "http" in link] == []
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    assert "default-src &#x27;none&#x27;" in policy and "http" not in policy


def test_every_module_of_the_page_is_in_it():
    files = {path.stem for path in page_module.PAGE.glob("*.js")} - {"maplibre-gl"}
    assert files == set(page_module.MODULES)


def test_the_same_releases_give_the_same_bytes(country, tmp_path):
    runs = (country.movement, country.needs)
    assert make(tmp_path / "one", *runs) == make(tmp_path / "two", *runs)


def with_other_noise_where_suppressed(folder: Path, copy: Path) -> Path:
    """Copy a release and change nothing but the values of suppressed counts.

    Intervals of suppressed counts are null, which is no value either: they are filled.
    """
    shutil.copytree(folder, copy)
    for name, columns in {
        "statistics": ["noisy", "low95", "high95"],
        "areas": ["unbiased", "low95", "high95"],
    }.items():
        table = pq.read_table(copy / f"{name}.parquet")
        hidden = np.array(table["suppressed"])
        assert hidden.any() or name == "areas"
        for column in columns:
            place = table.column_names.index(column)
            old = np.array(table[column])
            changed = pa.array(np.where(hidden, 7_654_321, old).astype(old.dtype))
            table = table.set_column(place, column, changed)
        pq.write_table(table, copy / f"{name}.parquet")
    return copy


def test_no_byte_depends_on_a_suppressed_value(country, tmp_path):
    for study in ("movement", "catchment", "preboarding"):
        original = getattr(country, study)
        other = with_other_noise_where_suppressed(original, tmp_path / study)
        files = []
        for number, folder in enumerate((original, other)):
            out = tmp_path / f"{study}{number}"
            write(read([folder]), out, language="ja", geofiles=True, figures=study == "catchment")
            files.append({path.name: path.read_bytes() for path in out.iterdir()})
        assert files[0].keys() == files[1].keys()
        assert [name for name in files[0] if files[0][name] != files[1][name]] == []


@pytest.mark.slow
@thorough
def test_twenty_thousand_squares_of_144_columns_fit(squares_page):
    assert squares_page.stat().st_size < 15e6


def test_the_data_cannot_end_their_element(country, tmp_path):
    folder = tmp_path / "movement"
    shutil.copytree(country.movement, folder)
    plan = json.loads((folder / "plan.json").read_text())
    evil = "</script><script>alert(1)</script><!--"
    (folder / "plan.json").write_text(json.dumps(plan | {"title": {"ja": evil}}))
    text = make(tmp_path / "report", folder).decode()
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1]
    assert json.loads(data)["layers"][0]["title"]["ja"] == evil
    assert text.count("<script") == 4 and "alert(1)</" not in text


def test_exact_counts_are_stamped(exact, tmp_path):
    text = make(tmp_path / "report", exact.movement).decode()
    assert '"noise_free":true' in text
