"""The command as a person runs it."""

from __future__ import annotations

from functools import partial

import pyarrow.parquet as pq
import pytest

from tests.hokkaido.needs.country import make_country, publish_all
from tests.jobs.command import assert_refused, run
from tests.sizes import first, thorough

needs = partial(run, "needs")


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    """A folder in which the releases lie where conf/needs.yaml looks for them."""
    folder = tmp_path_factory.mktemp("work")
    for noise in ("gaussian", "off"):
        made = publish_all(make_country(7, 20_000), folder / noise, noise)
        made.movement.rename(made.movement.with_name("doto_movement"))
    (folder / "out").symlink_to("gaussian")
    return folder


def test_the_ranked_list_is_printed_and_written(releases):
    code, output, error = needs(releases, "out=needs", "releases.preboarding=out/preboarding")
    assert (code, error) == (0, "")
    assert "Where transport is missing" in output and "根室市" in output
    table = pq.read_table(releases / "needs" / "needs.parquet")
    assert table["rank"].to_pylist() == list(range(1, 51))
    assert (releases / "needs" / "boarding.csv").exists()


@pytest.mark.slow
@thorough
def test_quiet_prints_nothing_but_the_warning(releases):
    assert needs(releases, "out=quiet", "display=quiet", "draws=100") == (0, "", "")
    code, output, error = needs(
        releases, "out=off", "display=quiet", "draws=100", "releases.catchment=off/catchment"
    )
    assert (code, output) == (0, "")
    assert "NOT differentially private" in error and "Exact counts came from: catchment." in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    first(
        1,
        [
            (
                ["releases.movement=nowhere"],
                "nowhere, key releases.movement). Make one with: xstat-ray crosstab",
            ),
            (["releases.movement=."], "there is no manifest.json"),
            (["releases.population=out/catchment"], "xstat-ray population"),
            (["travel.tolerated=soon"], "key travel.tolerated"),
            (["tolerated=1"], "tolerated"),
        ],
    ),
)
def test_bad_input(releases, arguments, message):
    assert_refused(needs(releases, "out=bad", *arguments), message)
    assert not (releases / "bad").exists()
