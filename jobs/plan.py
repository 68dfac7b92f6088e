"""Show what a run of a study would do and cost, and what its budget buys.

The job touches no data, unless it is told to look.

xstat-ray plan study=nycflights
xstat-ray plan study=nycflights target_stderr=20 target_level=dest
xstat-ray plan study=doto_movement 'sweep={privacy.epsilon:[0.5,1,2]}' figure=error.svg
xstat-ray plan study=doto_movement look=true data.row.path=presence
"""

from __future__ import annotations

import json
from typing import Any

from xstat_ray.cli.config import PlanConfig, plan_config
from xstat_ray.cli.hydra_job import run
from xstat_ray.cli.sweep_table import print_sweep
from xstat_ray.cli.terminal import print_plan
from xstat_ray.planning.disk import check_disk, output_bytes
from xstat_ray.planning.plan_report import make_report
from xstat_ray.planning.sweep import Sweep
from xstat_ray.planning.sweep_figure import write_figure
from xstat_ray.planning.table_check import inspect_order
from xstat_ray.runtime.ledgers import look


def main(raw: dict[str, Any], origin: str) -> None:
    """Plan the study that the configuration describes, and print the report."""
    config = plan_config(raw, origin)
    if config.sweep is not None:
        show_sweep(config.sweep, config)
        return
    report = make_report(
        config.study,
        config.options,
        target=config.target,
        table=None if config.row is None else inspect_order(config.study, config.row),
    )
    if config.out is not None:
        check_disk(config.out, output_bytes(report.plan), "the release", "out")
    rooms = look(config.study, config.ledgers)
    if config.display == "json":
        told = {**report.as_dict(), "ledgers": [room.as_dict() for room in rooms]}
        print(json.dumps(told, indent=2, ensure_ascii=False))
    elif config.display == "auto":
        print_plan(report, config.ledgers, rooms=rooms)


def show_sweep(sweep: Sweep, config: PlanConfig) -> None:
    """Print the errors of a sweep, and draw them if that is asked for."""
    if config.figure is not None:
        write_figure(sweep, config.level, config.figure)
    if config.display == "json":
        print(json.dumps(sweep.as_dict(), indent=2, ensure_ascii=False))
    elif config.display == "auto":
        print_sweep(sweep)


if __name__ == "__main__":
    run("plan", main)
