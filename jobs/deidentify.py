"""Do a party's steps, on its own cluster: handshake, exchange, emit.

xstat-ray deidentify party=row study=nycflights domain.run=first domain.private=own
domain.exchange=shared
"""

from __future__ import annotations

from typing import Any

from xstat_ray.cli.hydra_job import run
from xstat_ray.cli.terminal import make_progress
from xstat_ray.federation.config import party_config
from xstat_ray.federation.identity import Identity
from xstat_ray.federation.jobs import deidentify


def main(raw: dict[str, Any], origin: str) -> None:
    """Do the step that the configuration names."""
    config = party_config(raw, origin)
    if config.step == "identity":
        print(Identity.create(config.settings.identity).public.hex())
        return
    deidentify(config, make_progress(config.display))


if __name__ == "__main__":
    run("deidentify", main)
