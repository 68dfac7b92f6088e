"""Do the neutral cluster's part: join and add while encrypted, put the masks on.

The job has the public key and no secret.

xstat-ray aggregate study=nycflights domain.run=first domain.private=own domain.exchange=shared
"""

from __future__ import annotations

from typing import Any

from xstat_ray.cli.hydra_job import run
from xstat_ray.cli.terminal import make_progress
from xstat_ray.federation.aggregate import aggregate
from xstat_ray.federation.config import aggregator_config
from xstat_ray.federation.identity import Identity


def main(raw: dict[str, Any], origin: str) -> None:
    """Aggregate what the parties have handed out."""
    config = aggregator_config(raw, origin)
    if config.step == "identity":
        print(Identity.create(config.settings.identity).public.hex())
        return
    aggregate(config, make_progress(config.display))


if __name__ == "__main__":
    run("aggregate", main)
