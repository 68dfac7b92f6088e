"""The main job: two tables in, one private cross-tab out.

python -m jobs.crosstab study=nycflights out=out/nycflights
"""

from __future__ import annotations

from typing import Any

from jobs._run import run
from xstat_ray.config import crosstab_config
from xstat_ray.crosstab import crosstab
from xstat_ray.terminal import make_progress, print_summary


def main(raw: dict[str, Any], origin: str) -> None:
    """Run the study that the configuration describes."""
    config = crosstab_config(raw, origin)
    release = crosstab(
        config.study,
        row=config.row,
        column=config.column,
        out=config.out,
        options=config.options,
        progress=make_progress(config.display),
    )
    if config.display == "auto":
        print_summary(release)


if __name__ == "__main__":
    run("crosstab", main)
