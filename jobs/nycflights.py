"""Write the two tables of the study `nycflights`.

xstat-ray nycflights out=data/nycflights
"""

from __future__ import annotations

from typing import Any

from xstat_ray.cli.hydra_job import run
from xstat_ray.inputs.nycflights import write_tables
from xstat_ray.inputs.section import Section


def main(raw: dict[str, Any], origin: str) -> None:
    """Write the tables into the folder that the configuration names."""
    settings = Section(raw, key="", origin=origin, known=("out",))
    for table in write_tables(settings.disk_path("out")):
        print(table)


if __name__ == "__main__":
    run("nycflights", main)
