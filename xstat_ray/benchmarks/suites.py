"""The suites by name, and the configuration of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from xstat_ray.benchmarks import (
    crosstab_suite,
    exchange_suite,
    join_suite,
    kernels_suite,
    machines_suite,
    noise_suite,
    order_suite,
    paillier_suite,
    parties_suite,
    peers_suite,
    privacy_figures,
    privacy_suite,
    profile_suite,
    scale_suite,
    shards_figure,
    shards_suite,
    smoothing_suite,
    tags_suite,
    threads_suite,
)
from xstat_ray.benchmarks.timing import Record
from xstat_ray.errors import StudyError
from xstat_ray.planning.settings import DISPLAYS
from xstat_ray.runtime.progress import Progress
from xstat_ray.util.location import local_path


@dataclass(frozen=True)
class Suite:
    """A suite, and the class of its sizes, which are counts or lists of counts."""

    sizes: type[Any]
    run: Callable[[Any, Progress], list[Record]]
    draw: Callable[[Sequence[Record], Path, Progress], None] | None = None
    """Draws figures of the records into a folder."""
    section: str | None = None
    """Section of the configuration that holds the sizes, if not that of the suite's name."""


SHORT = ("shards", "workers", "days")
"""Sizes that may be given at the top of the configuration, in place of <suite>.<size>."""
PATHS = ("tables", "peers_python")
"""Paths at the top of the configuration, for the suites that have a use for them."""
SUITES = {
    "kernels": Suite(kernels_suite.Sizes, kernels_suite.run),
    "threads": Suite(kernels_suite.Sizes, threads_suite.run, section="kernels"),
    "paillier": Suite(paillier_suite.Sizes, paillier_suite.run),
    "exchange": Suite(exchange_suite.Sizes, exchange_suite.run),
    "noise": Suite(noise_suite.Sizes, noise_suite.run),
    "tags": Suite(tags_suite.Sizes, tags_suite.run),
    "join": Suite(join_suite.Sizes, join_suite.run),
    "order": Suite(order_suite.Sizes, order_suite.run),
    "parties": Suite(parties_suite.Sizes, parties_suite.run),
    "crosstab": Suite(crosstab_suite.Sizes, crosstab_suite.run),
    "privacy": Suite(privacy_suite.Sizes, privacy_suite.run, privacy_figures.draw),
    "smoothing": Suite(smoothing_suite.Sizes, smoothing_suite.run),
    "shards": Suite(shards_suite.Sizes, shards_suite.run, shards_figure.draw, section="cuts"),
    "scale": Suite(scale_suite.Sizes, scale_suite.run),
    "machines": Suite(machines_suite.Sizes, machines_suite.run, section="many_machines"),
    "profile": Suite(profile_suite.Sizes, profile_suite.run),
    "peers": Suite(peers_suite.Sizes, peers_suite.run),
}


@dataclass(frozen=True)
class BenchmarkConfig:
    """The checked configuration of `xstat-ray benchmark`."""

    suite: str
    sizes: Any
    """An instance of the suite's `sizes`."""
    out: Path
    display: str
    page: Path | None = None
    """Page of documentation whose table is written anew."""
    records: Path | None = None
    """The benchmark.json of an earlier run, which is drawn without another run."""

    def run(self, progress: Progress) -> list[Record]:
        """Run the suite."""
        return SUITES[self.suite].run(self.sizes, progress)

    def draw(self, records: Sequence[Record], progress: Progress) -> None:
        """Draw the suite's figures, where it has any, into `out`.

        Raises:
            InputError: the folder cannot be written to.
        """
        draw = SUITES[self.suite].draw
        if draw is not None:
            draw(records, self.out, progress)


def benchmark_config(raw: Mapping[str, Any], origin: str) -> BenchmarkConfig:
    """Check a composed configuration: nested dictionaries with the keys of conf/benchmark.yaml.

    Raises:
        StudyError: an unknown suite, or a value of the wrong type; names the key.
    """
    for key, choices in (("suite", tuple(SUITES)), ("display", DISPLAYS)):
        if raw[key] not in choices:
            raise StudyError(
                "not one of the choices",
                file=origin,
                key=key,
                remedy=f"Use one of {', '.join(choices)}",
            )
    suite = raw["suite"]
    chosen = SUITES[suite]
    section = chosen.section or suite
    short = {name: raw[name] for name in SHORT if raw.get(name) is not None}
    paths = {name: _path(raw.get(name), name, origin) for name in PATHS}
    page, records = (_path(raw.get(key), key, origin) for key in ("page", "records"))
    if page is not None and records is not None:
        remedy = "Give one of them: a page names the machine on which its numbers were found today"
        raise StudyError("excludes the key page", file=origin, key="records", remedy=remedy)
    return BenchmarkConfig(
        suite=suite,
        sizes=_sizes(chosen.sizes, {**raw[section], **short}, paths, section, origin),
        out=local_path(str(raw["out"]), file=origin, key="out"),
        display=raw["display"],
        page=page,
        records=records,
    )


def _sizes(
    kind: type[Any],
    section: Mapping[str, Any],
    paths: Mapping[str, Path | None],
    name: str,
    origin: str,
) -> Any:
    names = {field.name for field in fields(kind)}
    for key in (names - paths.keys()).symmetric_difference(section):
        problem = "a value is missing" if key in names else "unknown key"
        known = ", ".join(sorted(names - paths.keys()))
        raise StudyError(problem, file=origin, key=f"{name}.{key}", remedy=f"Known here: {known}")
    counts = {key: _counts(value, f"{name}.{key}", origin) for key, value in section.items()}
    lists = {field.name for field in fields(kind) if str(field.type).startswith("tuple")}
    counts |= {
        key: (value,) for key, value in counts.items() if key in lists and isinstance(value, int)
    }
    return kind(**counts, **{key: path for key, path in paths.items() if key in names})


def _path(value: Any, key: str, origin: str) -> Path | None:
    if value is not None and not isinstance(value, str):
        raise StudyError("a path is expected", file=origin, key=key)
    return None if value is None else local_path(value, file=origin, key=key)


def _counts(value: Any, key: str, origin: str) -> int | tuple[int, ...]:
    return (
        tuple(_count(v, key, origin) for v in value)
        if isinstance(value, list)
        else _count(value, key, origin)
    )


def _count(value: Any, key: str, origin: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise StudyError("a whole number of at least 1 is expected", file=origin, key=key)
    return value
