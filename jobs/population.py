"""Publish Mobile Spatial Statistics of one operator: people by area and hour.

xstat-ray population tables=data/hokkaido out=out/population
"""

from __future__ import annotations

from typing import Any

from xstat_ray.cli.hydra_job import run
from xstat_ray.cli.terminal import make_progress
from xstat_ray.hokkaido.population.config import population_config
from xstat_ray.hokkaido.population.run import population
from xstat_ray.hokkaido.population.write import delivered_name, mean_day_name
from xstat_ray.publication.release import AREAS, STATISTICS
from xstat_ray.runtime.ordered import OrderedMap


def main(raw: dict[str, Any], origin: str) -> None:
    """Publish what the configuration declares."""
    config = population_config(raw, origin)
    progress = make_progress(config.display)
    with OrderedMap(config.window, config.cluster, progress) as tasks:
        published = population(
            config.declaration,
            config.tables,
            out=config.out,
            options=config.options,
            in_order=map if config.runtime == "local" else tasks,
            progress=progress,
        )
    spent = published.manifest["spent"]
    progress.note(
        f"{published.rows:,} values published; "
        f"{published.withheld:,} are not in the delivered files."
    )
    progress.note(f"Spent: epsilon {spent['epsilon']}, delta {spent['delta']}.")
    names = [breakdown.name for breakdown in config.declaration.breakdowns]
    hours = ", ".join(delivered_name(name) for name in names)
    mean = ", ".join(mean_day_name(name) for name in names)
    progress.note(f"Folder: {published.folder}")
    progress.note(f"Delivered files: {hours}; the mean day, with far less noise: {mean}")
    progress.note(f"All values: {STATISTICS}; areas above: {AREAS}")


if __name__ == "__main__":
    run("population", main)
