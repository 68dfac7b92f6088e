"""Do the whole job: two tables in, one private cross-tab out.

xstat-ray crosstab study=nycflights out=out/nycflights
"""

from __future__ import annotations

from typing import Any

from hydra.core.hydra_config import HydraConfig

from xstat_ray.cli.config import CrosstabConfig, crosstab_config
from xstat_ray.cli.hydra_job import run
from xstat_ray.cli.origins import arguments_of_job
from xstat_ray.cli.terminal import make_progress, print_summary
from xstat_ray.federation.one_machine import Arguments, run_domains
from xstat_ray.job import crosstab
from xstat_ray.publication.release import Release


def main(raw: dict[str, Any], origin: str) -> None:
    """Run the study that the configuration describes."""
    config = crosstab_config(raw, origin)
    if config.federated:
        release = _federated(config)
    else:
        release = crosstab(
            config.study,
            row=config.rows,
            column=config.columns,
            out=config.out,
            options=config.options,
            progress=make_progress(config.display),
        )
    if config.display == "auto":
        print_summary(release)


def _federated(config: CrosstabConfig) -> Release:
    """Run the domains as processes of this machine.

    Each gets those of this job's arguments that concern it.
    """
    hydra = HydraConfig.get()
    folders = [
        source.path for source in hydra.runtime.config_sources if source.provider == "command-line"
    ]
    return run_domains(
        config.study,
        {**config.rows, **config.columns},
        out=config.out,
        options=config.options,
        arguments=Arguments.of(arguments_of_job(), folders),
        progress=make_progress(config.display),
    )


if __name__ == "__main__":
    run("crosstab", main)
