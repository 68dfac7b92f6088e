"""Measure how fast the parts and the whole are, compared with the alternatives.

xstat-ray benchmark suite=paillier out=out/benchmark/paillier
xstat-ray benchmark suite=shards records=out/benchmark/shards/benchmark.json out=out/slides
"""

from __future__ import annotations

from typing import Any

from xstat_ray.benchmarks.page import update
from xstat_ray.benchmarks.report import described, read, show, write
from xstat_ray.benchmarks.suites import benchmark_config
from xstat_ray.cli.hydra_job import run
from xstat_ray.cli.terminal import make_progress


def main(raw: dict[str, Any], origin: str) -> None:
    """Run the suite that the configuration names, or read what it once measured.

    Then draw and show its records.
    """
    config = benchmark_config(raw, origin)
    progress = make_progress(config.display)
    if config.records is not None:
        path = config.records
        records = read(config.records, config.suite)
    else:
        records = config.run(progress)
        path = write(config.suite, records, config.out)
    config.draw(records, progress)
    if config.page is not None:
        update(config.page, config.suite, records, described())
    if config.display == "auto":
        show(config.suite, records, path)


if __name__ == "__main__":
    run("benchmark", main)
