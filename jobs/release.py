"""Do the last steps: the row party approves and publishes, the key holder decrypts and checks.

xstat-ray release step=decrypt study=nycflights domain.run=first domain.private=own
domain.exchange=shared
"""

from __future__ import annotations

from typing import Any

from xstat_ray.cli.hydra_job import run
from xstat_ray.cli.terminal import make_progress
from xstat_ray.federation.config import release_config
from xstat_ray.federation.jobs import release


def main(raw: dict[str, Any], origin: str) -> None:
    """Do the step that the configuration names."""
    config = release_config(raw, origin)
    release(config, make_progress(config.display))


if __name__ == "__main__":
    run("release", main)
