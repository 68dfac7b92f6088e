"""Make a report that a town hall opens: a map in one HTML file, files for other tools, figures.

xstat-ray report run=out/doto_movement run=out/catchment run=out/needs out=out/report
"""

from __future__ import annotations

from typing import Any

from xstat_ray.cli.hydra_job import run
from xstat_ray.hokkaido.report.config import report_config
from xstat_ray.hokkaido.report.make import read, warn, write


def main(raw: dict[str, Any], origin: str) -> None:
    """Make the report that the configuration describes."""
    config = report_config(raw, origin)
    sources = read(config.runs)
    written = write(
        sources,
        config.out,
        language=config.language,
        geofiles=config.geofiles,
        figures=config.figures,
    )
    warn(sources)
    if config.display == "auto":
        page, *others = written
        for path in others:
            print(path)
        print(f"Report: {page}  (open it in a browser; it needs no network)")


def gather(arguments: list[str]) -> list[str]:
    """Put the values of `run=a run=b` into one list; Hydra keeps only the last of them."""
    runs = [argument.removeprefix("run=") for argument in arguments if argument.startswith("run=")]
    if not runs or runs[0].startswith("["):
        return arguments
    quoted = ["'" + path.replace("'", "\\'") + "'" for path in runs]
    others = [argument for argument in arguments if not argument.startswith("run=")]
    return [*others, f"run=[{','.join(quoted)}]"]


if __name__ == "__main__":
    run("report", main, gather)
