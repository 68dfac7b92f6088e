"""Releases of a made-up eastern Hokkaido, published by the package's own mechanism, and the report made of them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.hokkaido.needs.country import make_country, publish_all
from tests.hokkaido.report.large import publish_squares
from xstat_ray.hokkaido.needs.answer import Assumptions, answer
from xstat_ray.hokkaido.needs.report import write as write_answers
from xstat_ray.hokkaido.report.make import PAGE, read, write


def publish_country(folder, noise="gaussian"):
    """Folders of three releases and of the answer."""
    made = publish_all(make_country(7, 20_000), folder, noise)
    write_answers(answer(made), Assumptions(), folder / "needs")
    return SimpleNamespace(
        movement=made.movement,
        catchment=made.catchment,
        preboarding=made.preboarding,
        needs=folder / "needs",
    )


@pytest.fixture(scope="session")
def country(tmp_path_factory):
    return publish_country(tmp_path_factory.mktemp("country"))


@pytest.fixture(scope="session")
def exact(tmp_path_factory):
    """The same without noise."""
    return publish_country(tmp_path_factory.mktemp("exact"), "off")


@pytest.fixture(scope="session")
def squares(tmp_path_factory):
    """A release of 20,000 squares by 144 columns."""
    return publish_squares(tmp_path_factory.mktemp("squares"))


@pytest.fixture(scope="session")
def squares_page(squares, tmp_path_factory):
    folder = tmp_path_factory.mktemp("squares_report")
    write(read([squares]), folder, language="ja", geofiles=False, figures=False)
    return folder / PAGE


@pytest.fixture(scope="session")
def report(country, tmp_path_factory):
    """Folder of the whole report."""
    folder = tmp_path_factory.mktemp("report")
    sources = read([country.movement, country.catchment, country.preboarding, country.needs])
    write(sources, folder, language="ja", geofiles=True, figures=True)
    return folder
