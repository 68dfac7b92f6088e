"""How fast the parts and the whole are, beside what one would otherwise use.

python -m jobs.benchmark suite=paillier out=out/benchmark/paillier
"""

from __future__ import annotations

from typing import Any

from jobs._run import run
from xstat_ray.benchmarks.report import show, write
from xstat_ray.benchmarks.suites import benchmark_config
from xstat_ray.terminal import make_progress


def main(raw: dict[str, Any], origin: str) -> None:
    """Run the suite that the configuration names, then show and write its records."""
    config = benchmark_config(raw, origin)
    records = config.run(make_progress(config.display))
    path = write(config.suite, records, config.out)
    if config.display == "auto":
        show(config.suite, records, path)


if __name__ == "__main__":
    run("benchmark", main)
