"""Releases of a made-up eastern Hokkaido, published by the package, and the report of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.hokkaido.needs.country import make_country, publish_all
from tests.hokkaido.report.browser import Reader, chromium
from tests.hokkaido.report.large import publish_squares
from xstat_ray.hokkaido.needs.answer import Assumptions, answer
from xstat_ray.hokkaido.needs.report import write as write_answers
from xstat_ray.hokkaido.report.make import PAGE, read, write

if TYPE_CHECKING:
    from playwright.sync_api import Browser


class CountryFolders(NamedTuple):
    """Folders of three releases, and of the answer made from them."""

    movement: Path
    catchment: Path
    preboarding: Path
    needs: Path


def publish_country(folder: Path, noise: str = "gaussian") -> CountryFolders:
    """Publish the releases of a country, and write the answer."""
    made = publish_all(make_country(7, 20_000), folder, noise)
    write_answers(answer(made), Assumptions(), folder / "needs")
    assert made.preboarding is not None
    return CountryFolders(made.movement, made.catchment, made.preboarding, folder / "needs")


@pytest.fixture(scope="session")
def country(tmp_path_factory: pytest.TempPathFactory) -> CountryFolders:
    """Publish a country with noise."""
    return publish_country(tmp_path_factory.mktemp("country"))


@pytest.fixture(scope="session")
def exact(tmp_path_factory: pytest.TempPathFactory) -> CountryFolders:
    """Publish a country without noise."""
    return publish_country(tmp_path_factory.mktemp("exact"), "off")


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Publish 20,000 squares by 144 columns."""
    return publish_squares(tmp_path_factory.mktemp("squares"))


@pytest.fixture(scope="session")
def squares_page(squares: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the page of 20,000 squares."""
    folder = tmp_path_factory.mktemp("squares_report")
    write(read([squares]), folder, language="ja", geofiles=False, figures=False)
    return folder / PAGE


@pytest.fixture(scope="session")
def report(country: CountryFolders, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the whole report into a folder."""
    folder = tmp_path_factory.mktemp("report")
    sources = read([country.movement, country.catchment, country.preboarding, country.needs])
    write(sources, folder, language="ja", geofiles=True, figures=True)
    return folder


@pytest.fixture(scope="session")
def page(country: CountryFolders, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the page of the report alone."""
    folder = tmp_path_factory.mktemp("page")
    sources = read([country.movement, country.catchment, country.preboarding, country.needs])
    write(sources, folder, language="ja", geofiles=False, figures=False)
    return folder / PAGE


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def reader(browser: Browser, page: Path) -> Iterator[Reader]:
    """Open the page for all tests of the module; each brings it to the view it needs."""
    opened = Reader(browser, page)
    yield opened
    opened.context.close()


@pytest.fixture(autouse=True)
def nothing_goes_wrong(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "reader" in request.fixturenames:
        used = request.getfixturevalue("reader")
        trouble = list(used.trouble)
        used.trouble[:] = []
        assert trouble == []
        outside = [url for url in used.requests if not url.startswith(("data:", "blob:"))]
        assert len(outside) == 1 and outside[0].startswith("file:")
