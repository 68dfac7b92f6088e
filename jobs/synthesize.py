"""Make the tables of a made-up Hokkaido with known facts: an operator's, two airlines', a card's.

xstat-ray synthesize scale=laptop out=data/hokkaido
"""

from __future__ import annotations

from typing import Any

from xstat_ray.cli.hydra_job import run
from xstat_ray.cli.terminal import make_progress
from xstat_ray.hokkaido.world.build import build
from xstat_ray.hokkaido.world.settings import synthesize_config
from xstat_ray.runtime.ordered import OrderedMap
from xstat_ray.util.files import unwritable


def main(raw: dict[str, Any], origin: str) -> None:
    """Write the world that the configuration describes."""
    config = synthesize_config(raw, origin)
    progress = make_progress(config.display)
    tasks = OrderedMap(config.window, config.cluster, progress)
    with tasks, progress.stage("people", config.world.people) as stage:
        in_order = map if config.runtime == "local" else tasks
        try:
            made = build(
                config.world,
                config.out.resolve(),
                in_order,
                lambda block: stage.advance(block.people),
            )
        except OSError as error:
            raise unwritable(config.out, error) from error
    rows = ", ".join(f"{name.removesuffix('.parquet')} {n:,}" for name, n in made["rows"].items())
    progress.note(f"{config.out}: rows of {rows}")


if __name__ == "__main__":
    run("synthesize", main)
