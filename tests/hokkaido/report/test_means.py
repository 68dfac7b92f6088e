"""Means of a measure on the page, in the files beside it and in the figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.hokkaido.needs.country import exact_sums, plan_of
from tests.hokkaido.report.browser import Reader
from tests.sizes import thorough
from xstat_ray.hokkaido.report.data import SUPPRESSED, read_layers
from xstat_ray.hokkaido.report.document import document
from xstat_ray.hokkaido.report.make import PAGE, read, write
from xstat_ray.model.messages import Coefficients
from xstat_ray.publication.manifest import make_manifest
from xstat_ray.publication.publish import publish
from xstat_ray.publication.release import Release
from xstat_ray.publication.release import write as write_release


@pytest.fixture(scope="module")
def spend(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Publish a release of the study `spend`; every fourth municipality has people."""
    plan = plan_of("spend", "gaussian")
    draw = np.random.default_rng(1)
    counts = draw.integers(100, 3_000, (plan.study.cells, plan.study.slots))
    counts[np.arange(plan.study.cells) % 4 > 0] = 0
    means = draw.integers(8_000, 20_000, counts.shape)
    cells = np.concatenate([counts, counts * (means - 30_000)], axis=1)
    noisy = exact_sums(plan, cells) + plan.design.draw(plan.study.slots)
    published = publish(plan, Coefficients("00" * 16, 0, noisy))
    facts = make_manifest(plan, "ab" * 16, {"row": "", "column": ""}, {"driver": "portable"}, {})
    folder = tmp_path_factory.mktemp("spend")
    write_release(Release(*published, facts, plan.as_dict()), folder)
    return folder


def test_counts_and_means_are_layers_of_one_release(spend):
    counts, means = read_layers(spend)
    assert (counts.study, means.study) == ("spend", "spend_mean_spend")
    assert counts.mean is None and means.mean == ("spend", "JPY")
    assert means.title["en"].endswith(": mean spend (JPY)")
    assert [level.name for level in means.levels] == [level.name for level in counts.levels]
    table = pq.read_table(spend / "statistics.parquet")
    found = means.levels[0].estimate.ravel()
    wanted = table["spend_mean"].to_numpy(zero_copy_only=False)
    hidden = table["spend_mean"].is_null().to_numpy()
    assert 0 < hidden.sum() < len(hidden)
    assert (found[hidden] == SUPPRESSED).all()
    assert (found[~hidden] == np.rint(wanted[~hidden])).all()
    low = means.levels[0].low.ravel()
    high = means.levels[0].high.ravel()
    assert (low <= np.maximum(found, 0)).all() and (found <= high).all()
    # The dimensions are those of the study alone.
    assert [dimension.name for dimension in means.dimensions] == ["landed"]


def test_a_measure_that_whole_numbers_would_spoil_is_not_on_the_page(spend, tmp_path):
    for name in ("statistics.parquet", "areas.parquet", "manifest.json"):
        (tmp_path / name).write_bytes((spend / name).read_bytes())
    plan = json.loads((spend / "plan.json").read_text())
    for low, high, shown in ((0, 60_000, 2), (1, 5, 1), (-60_000, 60_000, 1)):
        plan["measures"][0] |= {"low": low, "high": high}
        (tmp_path / "plan.json").write_text(json.dumps(plan))
        assert len(read_layers(tmp_path)) == shown


def test_nothing_of_a_withheld_mean_is_on_the_page(spend, tmp_path):
    for path in spend.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    for name in ("statistics.parquet", "areas.parquet"):
        table = pq.read_table(tmp_path / name)
        hidden = table["suppressed"].to_numpy()
        for column in ("spend_sum", "spend_sum_stderr"):
            values = np.where(hidden, 12_345.0, table[column].to_numpy())
            place = table.schema.get_field_index(column)
            table = table.set_column(place, column, pa.array(values))
        pq.write_table(table, tmp_path / name)
    pages = [document(read([folder]).layers, None, "en")["layers"] for folder in (spend, tmp_path)]
    for page in pages:
        for layer in page:
            layer.pop("facts")
    assert pages[0] == pages[1]


@thorough
def test_the_page_and_the_figures_say_that_they_show_means(spend, tmp_path, browser):
    write(read([spend]), tmp_path, language="en", geofiles=True, figures=True)
    svg = (tmp_path / "map_spend_mean_spend.svg").read_text()
    assert "<path" in svg and (tmp_path / "spend_mean_spend.geo.parquet").exists()
    reader = Reader(browser, tmp_path / PAGE)
    reader.choose("study", 1)
    assert "Mean (spend, JPY)" in reader.page.inner_text("#legend")
    reader.act(lambda: reader.page.locator("#table tbody button").first.click())
    said = reader.page.inner_text("#facts .said")
    reader.picture("means")
    assert "the mean (spend, JPY) of those who match this selection is about" in said
    assert not reader.trouble
    reader.context.close()
