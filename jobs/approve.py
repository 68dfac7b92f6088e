"""Read and sign what a run of three domains is to do, before anything leaves a domain.

xstat-ray approve party=row study=nycflights domain.run=first domain.private=own
domain.exchange=shared
"""

from __future__ import annotations

from typing import Any

from xstat_ray.cli.hydra_job import run
from xstat_ray.federation.approve import approve_run
from xstat_ray.federation.config import approve_config


def main(raw: dict[str, Any], origin: str) -> None:
    """Print the collaboration, and sign it unless it is only to be shown."""
    print(approve_run(approve_config(raw, origin)))


if __name__ == "__main__":
    run("approve", main)
