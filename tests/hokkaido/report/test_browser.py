"""The report as a person uses it: opened from a file, without a network, in a real browser."""

from __future__ import annotations

import csv
import io
import subprocess

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tests.hokkaido.report.browser import SCREENSHOTS, Reader, chromium, program
from xstat_ray.hokkaido.report.make import PAGE, read, write

VIEWS = ("studies", "opening", "watershed", "needs", "boarding")


@pytest.fixture(scope="module")
def browser():
    with chromium() as one:
        yield one


@pytest.fixture(scope="module")
def reader(browser, report):
    """One page for all tests of the module: each brings it to the view it needs."""
    one = Reader(browser, report / PAGE)
    yield one
    one.context.close()


@pytest.fixture(autouse=True)
def nothing_goes_wrong(request):
    yield
    if "reader" in request.fixturenames:
        one = request.getfixturevalue("reader")
        trouble = list(one.trouble)
        one.trouble[:] = []
        assert trouble == []
        outside = [url for url in one.requests if not url.startswith(("data:", "blob:"))]
        assert len(outside) == 1 and outside[0].startswith("file:")


def colours_of(picture):
    """How many pixels of every colour."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    return {colour: count for count, colour in image.getcolors(1 << 24)}


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_painted(reader, view):
    reader.view(view)
    reader.picture(f"desktop-{view}")
    area = reader.page.locator("#bars" if view == "boarding" else "#map")
    colours = colours_of(area.screenshot())
    assert max(colours.values()) < 0.95 * sum(colours.values())
    swatches = reader.page.eval_on_selector_all(
        "#legend .swatch:not(.uncertain):not(.suppressed):not(.absent):not(.flight)",
        "all => all.map(one => getComputedStyle(one).backgroundColor.match(/\\d+/g).map(Number))",
    )
    # Fills are a little transparent, so that a colour is not met exactly.
    seen = np.array([colour for colour, count in colours.items() if count > 20])
    near = [np.abs(seen - np.array(swatch)).max(axis=1).min() < 24 for swatch in swatches]
    assert sum(near) >= min(3, len(near) - 1), (view, swatches)


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


def test_play_moves_on_and_stops(reader):
    reader.view("studies")
    reader.choose("dimension-offset", 10)
    reader.page.click("#dimension-offset-play")
    reader.page.wait_for_function(
        "() => document.getElementById('dimension-offset').value === '0'", timeout=8000
    )
    reader.act(lambda: reader.page.click("#dimension-offset-play"))
    stopped = reader.page.input_value("#dimension-offset")
    # Longer than a moment is shown while it plays.
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


def test_the_table_sorts_and_a_row_is_shown_on_the_map(reader):
    reader.view("needs")

    def column(number):
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
    """What the ranking calls the main airport, the map of airports shows, in its colour."""
    reader.view("watershed")
    told = dict(reader.page.eval_on_selector_all(
        "#table tbody tr", "rows => rows.map((row) => [row.children[0].innerText, row.children[1].innerText])"
    ))  # fmt: skip
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


def test_fifty_random_values_equal_the_statistics(reader, country):
    """Ten selections of labels, and of each three places that are published and two that are not."""
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
        if sum(not row["suppressed"] for row in rows[:, slot]) >= 3
    ]
    for slot in rng.choice(full, 10, replace=False):
        for name in names:
            reader.choose(f"dimension-{name}", labels[name].index(rows[0, slot][name]))
        for hidden, count in ((False, 3), (True, 2)):
            places = [i for i, row in enumerate(rows[:, slot]) if row["suppressed"] == hidden]
            for place in rng.choice(places, count, replace=False):
                reader.choose("place", place, settled="true")  # the map is not looked at
                check(reader, rows[place, slot])


def check(reader, row):
    if row["suppressed"]:
        assert (
            reader.fact("estimate") == reader.fact("interval") == "–"
            and reader.fact("status") == "非公表"
        )
        return
    assert int(reader.fact("estimate").replace(",", "")) == row["estimate"]
    half = np.ceil(1.959964 * row["stderr"])
    low = min(row["noisy"] - half, row["estimate"])
    high = max(row["noisy"] + half, row["estimate"])
    assert reader.fact("interval").replace(",", "") == f"{max(0, low):.0f} ～ {max(0, high):.0f}"
    assert reader.fact("status") == ("公表" if low > 0 else "公表（不確か）")


def serious(page):
    """What axe-core holds against a page, but for minor points."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        (one["id"], one["nodes"][0]["html"])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("language", ["ja", pytest.param("en", marks=pytest.mark.slow)])
def test_axe_finds_nothing_serious_in_any_view(reader, language):
    if reader.page.get_attribute("html", "lang") != language:
        reader.act(lambda: reader.page.click("#language"))
    found = {}
    for view in VIEWS:
        reader.view(view)
        reader.act(lambda: reader.page.locator("#table tbody button").first.click())
        found[view] = serious(reader.page)
    if language != "ja":
        reader.act(lambda: reader.page.click("#language"))
    assert {view: wrong for view, wrong in found.items() if wrong} == {}


@pytest.mark.slow
def test_axe_finds_nothing_serious_on_paper_and_on_a_telephone(browser, report, reader):
    reader.view("needs")
    reader.page.emulate_media(media="print")
    paper = serious(reader.page)
    reader.page.emulate_media(media="null")
    one = telephone(browser, report)
    assert (paper, serious(one.page)) == ([], [])
    one.context.close()


def test_the_keyboard_reaches_everything(reader):
    reader.view("opening")
    reader.page.evaluate("document.querySelector('.skip').focus()")
    reached = set()
    for _ in range(40):
        reader.page.keyboard.press("Tab")
        reached.add(
            reader.page.evaluate(
                "document.activeElement.id || document.activeElement.dataset.view || document.activeElement.name || document.activeElement.dataset.column || document.activeElement.className"
            )
        )
    assert {
        "language",
        "print",
        "studies",
        "needs",
        "side",
        "place",
        "csv",
        "geojson",
        "change",
    } <= reached
    assert any("maplibregl-canvas" in name for name in reached)


def test_what_was_used_keeps_the_focus(reader):
    reader.view("watershed")
    for view in ("opening", "studies"):
        reader.page.focus(f"#views button[data-view={view}]")
        reader.act(lambda: reader.page.keyboard.press("Enter"))
        assert reader.page.evaluate("document.activeElement.dataset.view") == view
    reader.choose("dimension-offset", 0)
    reader.page.focus("#dimension-offset")
    reader.act(lambda: reader.page.keyboard.press("ArrowRight"))
    assert reader.page.evaluate("document.activeElement.id") == "dimension-offset"
    assert reader.page.get_attribute(
        "#dimension-offset", "aria-valuetext"
    ) == reader.page.inner_text(".moment")
    assert "5時間前" in reader.page.inner_text(".moment")


def test_paper_takes_two_pages_of_a4(reader):
    for view in ("studies", "needs", "boarding"):
        reader.view(view)
        reader.act(lambda: reader.page.locator("#table tbody button").first.click())
        file = SCREENSHOTS / f"print-{view}.pdf"
        reader.page.pdf(path=file, format="A4", print_background=True, prefer_css_page_size=True)
        assert file.read_bytes().count(b"/Type /Page\n") == 2, view
        if view == "boarding":
            continue
        try:
            subprocess.run(["pdftoppm", "-r", "70", "-png", file, file.with_suffix("")], check=True)
        except FileNotFoundError:
            continue
        first = Image.open(next(SCREENSHOTS.glob(f"print-{view}-*1.png"))).convert("RGB")
        assert len(first.getcolors(1 << 24)) > 500, "the map is on paper"


def telephone(browser, report):
    return Reader(
        browser, report / PAGE, 390, 844, device_scale_factor=2, is_mobile=True, has_touch=True
    )


def test_a_telephone_shows_it_without_scrolling_sideways(browser, report):
    one = telephone(browser, report)
    one.picture("phone", full_page=True)
    assert one.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert one.trouble == []
    one.context.close()


def test_exact_counts_are_stamped_for_all_to_see(browser, exact, tmp_path):
    write(read([exact.movement]), tmp_path, language="ja", geofiles=False, figures=False)
    one = Reader(browser, tmp_path / PAGE)
    one.picture("noise-off")
    assert one.page.locator("#stamp").is_visible() and "ノイズなし" in one.page.inner_text("#stamp")
    assert one.page.locator("#stamp").bounding_box()["height"] > 40
    one.act(lambda: one.page.locator("#table tbody button").first.click())
    assert "正確な数" in one.page.inner_text("#facts .said")
    one.context.close()


def test_without_webgl_the_figures_are_still_there(browser, report):
    plain = browser.browser_type.launch(
        executable_path=program(), args=["--no-sandbox", "--disable-gpu", "--disable-3d-apis"]
    )
    one = Reader(plain, report / PAGE)
    assert one.page.locator("#nomap").is_visible()
    one.act(lambda: one.page.locator("#table tbody button").first.click())
    assert int(one.fact("estimate").replace(",", "")) > 0
    one.view("needs")
    assert one.page.locator("#table tbody tr").count() == 50
    plain.close()


WATCH = """() => {
  window.answers = [];
  const keep = (list) => answers.push(...list.getEntries().filter((one) => one.name === "keydown").map((one) => one.duration));
  new PerformanceObserver(keep).observe({ type: "event", durationThreshold: 16 });
}"""
"""The browser's own measure: milliseconds from the event to the next frame that was shown, the
map's among it."""


def test_twenty_thousand_squares_answer_key_by_key(browser, squares_page):
    one = Reader(browser, squares_page)
    one.act(lambda: one.page.locator("#table tbody button").first.click())
    one.choose("dimension-offset", 0)
    one.page.evaluate(WATCH)
    one.page.focus("#dimension-offset")
    pictures = [one.page.locator("#map").screenshot()]
    for step in range(1, 12):
        one.act(lambda: one.page.keyboard.press("ArrowRight"))
        assert one.page.input_value("#dimension-offset") == str(step)
    pictures.append(one.page.locator("#map").screenshot())
    one.picture("squares")
    print("ms from the key to the frame", one.page.evaluate("answers"))
    assert pictures[0] != pictures[1] and len(colours_of(pictures[1])) > 10
    assert one.trouble == []
    one.context.close()
