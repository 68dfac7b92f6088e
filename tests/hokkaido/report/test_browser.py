"""The report in a real browser, opened from a file, without a network."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.hokkaido.needs.country import plan_of, release_of
from tests.hokkaido.report.browser import VIEWS, Reader, program
from tests.sizes import first, thorough
from xstat_ray.hokkaido.report.make import PAGE, read, write

if TYPE_CHECKING:
    pass


def colours_of(picture: bytes) -> dict[tuple[int, int, int], int]:
    """Count the pixels of each colour."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    return {colour: count for count, colour in image.getcolors(1 << 24)}


@pytest.mark.parametrize("view", first(0, VIEWS))
def test_every_view_is_painted(reader, view):
    reader.view(view)
    reader.picture(f"desktop-{view}")
    area = reader.page.locator("#bars" if view == "boarding" else "#map")
    colours = colours_of(area.screenshot())
    assert max(colours.values()) < 0.95 * sum(colours.values())
    swatches = reader.page.eval_on_selector_all(
        "#legend .swatch:not(.uncertain):not(.suppressed):not(.absent):not(.flight)",
        "all => all.map(e => getComputedStyle(e).backgroundColor.match(/\\d+/g).map(Number))",
    )
    # Fills are a little transparent, so that a colour is not met exactly.
    seen = np.array([colour for colour, count in colours.items() if count > 20])
    near = [np.abs(seen - np.array(swatch)).max(axis=1).min() < 24 for swatch in swatches]
    assert sum(near) >= min(3, len(near) - 1), (view, swatches)


@thorough
def test_the_map_fills_its_place_after_a_view_without_one(reader):
    for view in ("needs", "boarding", "studies"):
        reader.view(view)
    colours = colours_of(reader.page.locator("#map").screenshot())
    assert colours[223, 232, 239] < 0.72 * sum(colours.values()), "mostly sea"


def test_a_slider_step_repaints_the_map_and_says_the_moment(reader):
    reader.view("studies")
    reader.choose("dimension-offset", 8)
    first = reader.page.locator("#map").screenshot()
    assert "到着3時間後" in reader.page.inner_text("#subtitle")
    reader.choose("dimension-offset", 1)
    assert "出発5時間前" in reader.page.inner_text("#subtitle")
    assert reader.page.locator("#map").screenshot() != first
    assert reader.page.get_attribute("#dimension-offset", "aria-valuetext") == "出発5時間前"


@thorough
def test_play_moves_on_and_stops(reader):
    reader.view("studies")
    reader.choose("dimension-offset", 10)
    reader.page.click("#dimension-offset-play")
    reader.page.wait_for_function(
        "() => document.getElementById('dimension-offset').value === '0'", timeout=8000
    )
    reader.act(lambda: reader.page.click("#dimension-offset-play"))
    stopped = reader.page.input_value("#dimension-offset")
    # The wait is longer than a moment is shown while it plays.
    reader.page.evaluate("new Promise((go) => setTimeout(go, 1500))")
    assert reader.page.input_value("#dimension-offset") == stopped


def test_the_language_switches_everywhere(reader):
    japanese = reader.page.inner_text("body")
    reader.act(lambda: reader.page.click("#language"))
    english = reader.page.inner_text("body")
    reader.picture("desktop-english")
    assert reader.page.get_attribute("html", "lang") == "en"
    assert "Statistics" in english and "How to read this" in english and "統計の地図" not in english
    reader.act(lambda: reader.page.click("#language"))
    assert reader.page.inner_text("body") == japanese


@thorough
def test_the_table_sorts_and_a_row_is_shown_on_the_map(reader):
    reader.view("needs")

    def column(number: int) -> list[str]:
        return reader.page.eval_on_selector_all(
            "#table tbody tr", f"rows => rows.map(row => row.children[{number}].innerText)"
        )

    assert [int(text.split("（")[0]) for text in column(0)] == list(range(1, 51))
    reader.act(lambda: reader.page.click("#table button[data-column=visitors]"))
    visitors = [float(text.replace(",", "")) for text in column(4)]
    assert visitors == sorted(visitors, reverse=True)
    assert reader.page.get_attribute("#table th:nth-child(5)", "aria-sort") == "descending"
    reader.act(lambda: reader.page.click("#table button[data-column=visitors]"))
    assert [float(text.replace(",", "")) for text in column(4)] == visitors[::-1]
    before = reader.page.locator("#map").screenshot()
    name = column(1)[-1]
    reader.act(lambda: reader.page.locator("#table tbody tr:last-child button").click())
    reader.page.evaluate("scrollTo(0, 0)")
    assert reader.page.inner_text("#facts h2") == name
    assert reader.page.locator("#map").screenshot() != before


@thorough
def test_while_no_place_is_chosen_the_largest_are_shown_and_the_way_to_one(reader):
    reader.view("opening")
    reader.view("needs")
    assert "選ぶと" in reader.page.inner_text("#facts .hint")
    bars = reader.page.locator("#details .name").all_text_contents()
    reader.act(lambda: reader.page.click("#table button[data-column=need]"))
    assert bars == reader.page.locator("#table tbody th").all_inner_texts()[:8]
    reader.act(lambda: reader.page.locator("#table tbody button").first.click())
    assert "人時／日" in reader.fact("estimate")


def test_an_airport_that_leads_is_painted_even_where_its_share_is_unknown(reader):
    """The map of airports shows the main airport of the ranking, in its colour."""
    reader.view("watershed")
    pairs = reader.page.eval_on_selector_all(
        "#table tbody tr",
        "rows => rows.map(({ children }) => [children[0].innerText, children[1].innerText])",
    )
    told = dict(pairs)
    absent = reader.page.locator("#table tr.absent th").all_inner_texts()
    assert len(told) == 50 and {told[name] for name in absent} <= {"不明"}


def test_a_click_on_the_map_chooses_and_a_pointer_tells(reader):
    reader.view("needs")
    # The map shows 141.0 to 145.9 east in its middle; Kushiro town hall lies a little right and
    # below the centre.
    reader.point(0.66, 0.45)
    reader.page.wait_for_selector("#tip:visible")
    told = reader.page.inner_text("#tip").split("：")[0]
    reader.page.mouse.down()
    reader.act(reader.page.mouse.up)
    assert reader.page.inner_text("#facts h2") == told


def test_downloads_hold_what_is_shown(reader):
    reader.view("needs")
    with reader.page.expect_download() as waiting:
        reader.page.click("#csv")
    text = waiting.value.path().read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 50 and waiting.value.suggested_filename == "needs.csv"
    assert [int(row["rank"]) for row in rows] == list(range(1, 51))
    with reader.page.expect_download() as waiting:
        reader.page.click("#geojson")
    from geojson_pydantic import FeatureCollection

    collection = FeatureCollection.model_validate_json(waiting.value.path().read_text())
    assert {feature.properties["code"] for feature in collection.features} == {
        row["code"] for row in rows
    }


@thorough
def test_fifty_random_values_equal_the_statistics(reader, country):
    """Four selections of labels are tried, each with six published places and seven others.

    Not many selections have as many places in which passengers stand out of the noise.
    """
    reader.view("studies")
    table = pq.read_table(country.movement / "statistics.parquet")
    names = ("route", "direction", "offset")
    labels = {
        name: list(dict.fromkeys(table[name].to_pylist())) for name in ("municipality", *names)
    }
    rows = np.array(table.to_pylist(), object).reshape(len(labels["municipality"]), -1)
    rng = np.random.default_rng(0)
    full = [
        slot
        for slot in range(rows.shape[1])
        if sum(not row["suppressed"] for row in rows[:, slot]) >= 6
    ]
    for slot in rng.choice(full, 4, replace=False):
        for name in names:
            reader.choose(f"dimension-{name}", labels[name].index(rows[0, slot][name]))
        for hidden, count in ((False, 6), (True, 7)):
            places = [i for i, row in enumerate(rows[:, slot]) if row["suppressed"] == hidden]
            for place in rng.choice(places, count, replace=False):
                reader.choose("place", place, settled="true")  # The map is not looked at.
                check(reader, rows[place, slot])


def check(reader: Reader, row: dict[str, Any]) -> None:
    """Compare the facts that the page shows with a row of the statistics."""
    if row["suppressed"]:
        assert (
            reader.fact("estimate") == reader.fact("interval") == "–"
            and reader.fact("status") == "非公表"
        )
        return
    assert int(reader.fact("estimate").replace(",", "")) == row["estimate"]
    low = row["low95"]
    high = row["high95"]
    assert reader.fact("interval").replace(",", "") == f"{max(0, low):.0f} ～ {max(0, high):.0f}"
    assert reader.fact("status") == ("公表" if low > 0 else "公表（不確か）")


def towards(reader: Reader) -> list[str]:
    """What the page tells, study by study, of what holds towards the roles."""
    sources = reader.page.locator("#reading table")
    place = sources.locator("th").all_inner_texts().index("関与した各者に対して")
    return [row.locator("td").all_inner_texts()[place] for row in sources.locator("tbody tr").all()]


def test_the_provenance_tells_what_holds_towards_the_roles(reader):
    told = towards(reader)
    assert "それぞれ ε = 1、δ = 10⁻⁶" in told
    assert set(told) <= {"それぞれ ε = 1、δ = 10⁻⁶", "–"}, "one party alone has no insiders"


@thorough
@pytest.mark.parametrize("study", ["two_operators", "two_airlines"])
def test_the_provenance_of_several_parties_tells_it_too(browser, study, tmp_path):
    cells = np.full((plan_of(study).study.cells, plan_of(study).study.slots), 500)
    sources = read([release_of(study, cells, tmp_path / "release")])
    write(sources, tmp_path, language="ja", geofiles=False, figures=False)
    assert towards(Reader(browser, tmp_path / PAGE)) == ["それぞれ ε = 1、δ = 10⁻⁶"]


@thorough
def test_exact_counts_are_stamped_for_all_to_see(browser, exact, tmp_path):
    write(read([exact.movement]), tmp_path, language="ja", geofiles=False, figures=False)
    stamped = Reader(browser, tmp_path / PAGE)
    stamped.picture("noise-off")
    stamp = stamped.page.locator("#stamp")
    assert stamp.is_visible() and "ノイズなし" in stamp.inner_text()
    assert stamp.bounding_box()["height"] > 40
    stamped.act(lambda: stamped.page.locator("#table tbody button").first.click())
    assert "正確な数" in stamped.page.inner_text("#facts .said")
    stamped.context.close()


@thorough
def test_without_webgl_the_numbers_are_still_there(browser, page):
    plain = browser.browser_type.launch(
        executable_path=program(), args=["--no-sandbox", "--disable-gpu", "--disable-3d-apis"]
    )
    mapless = Reader(plain, page)
    assert mapless.page.locator("#nomap").is_visible()
    mapless.act(lambda: mapless.page.locator("#table tbody button").first.click())
    assert int(mapless.fact("estimate").replace(",", "")) > 0
    mapless.view("needs")
    assert mapless.page.locator("#table tbody tr").count() == 50
    plain.close()


WATCH = """() => {
  window.answers = [];
  const keys = (list) => list.getEntries().filter(({ name }) => name === "keydown");
  const keep = (list) => answers.push(...keys(list).map(({ duration }) => duration));
  new PerformanceObserver(keep).observe({ type: "event", durationThreshold: 16 });
}"""
"""Observes what the browser measures: milliseconds from the event to the next frame shown."""


@pytest.mark.slow
@thorough
def test_twenty_thousand_squares_answer_key_by_key(browser, squares_page):
    large = Reader(browser, squares_page)
    large.act(lambda: large.page.locator("#table tbody button").first.click())
    large.choose("dimension-offset", 0)
    large.page.evaluate(WATCH)
    large.page.focus("#dimension-offset")
    pictures = [large.page.locator("#map").screenshot()]
    for step in range(1, 12):
        large.act(lambda: large.page.keyboard.press("ArrowRight"))
        assert large.page.input_value("#dimension-offset") == str(step)
    pictures.append(large.page.locator("#map").screenshot())
    large.picture("squares")
    print("ms from the key to the frame", large.page.evaluate("answers"))
    assert pictures[0] != pictures[1] and len(colours_of(pictures[1])) > 10
    assert large.trouble == []
    large.context.close()
