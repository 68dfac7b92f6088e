"""Rank areas of eastern Hokkaido by visitors whom air and ground transport serve badly.

The job reads published statistics only.

xstat-ray needs out=out/needs
xstat-ray needs releases.catchment=out/catchment2 releases.preboarding=out/preboarding
"""

from __future__ import annotations

from typing import Any

from xstat_ray.cli.hydra_job import run
from xstat_ray.hokkaido.needs.answer import answer
from xstat_ray.hokkaido.needs.config import needs_config
from xstat_ray.hokkaido.needs.report import print_answer, warn, write


def main(raw: dict[str, Any], origin: str) -> None:
    """Join the releases that the configuration names."""
    config = needs_config(raw, origin)
    result = answer(config.folders, config.assumptions)
    write(result, config.assumptions, config.out)
    warn(result)
    if config.display == "auto":
        print_answer(result, config.out)


if __name__ == "__main__":
    run("needs", main)
