"""A made-up Hokkaido: the operator's and the airline's tables of a world with known facts.

python -m jobs.synthesize scale=laptop out=data/hokkaido
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jobs._run import run
from xstat_ray.files import unwritable
from xstat_ray.runtime.ordered import ordered
from xstat_ray.runtime.ray_session import session
from xstat_ray.terminal import make_progress
from xstat_ray.world.build import InOrder, Made, build
from xstat_ray.world.settings import SynthesizeConfig, synthesize_config


def main(raw: dict[str, Any], origin: str) -> None:
    """Write the world that the configuration describes."""
    config = synthesize_config(raw, origin)
    progress = make_progress(config.display)
    with progress.stage("people", config.world.people) as stage:
        try:
            made = build(
                config.world, config.out.resolve(), _in_order(config), lambda block: stage.advance(block.people)
            )
        except OSError as error:
            raise unwritable(config.out, error) from error
    rows = ", ".join(f"{name.split('/')[1].removesuffix('.parquet')} {n:,}" for name, n in made["rows"].items())
    progress.note(f"{config.out}: rows of {rows}")


def _in_order(config: SynthesizeConfig) -> InOrder:
    """How blocks are made; Ray starts with the first of them, so not at all where nothing is to be done."""
    if config.runtime == "local":
        return map

    def tasks(function: Callable[[int], Made], blocks: Iterable[int]) -> Iterator[Made]:
        with session(config.cluster):
            yield from ordered(function, blocks, config.window)

    return tasks


if __name__ == "__main__":
    run("synthesize", main)
