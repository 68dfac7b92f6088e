"""What all jobs share: Hydra composition, readable errors, exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from yaml import YAMLError

from xstat_ray.errors import StudyError, XstatError

CONF = Path(__file__).parents[1] / "conf"
BAD_INPUT = 2
INTERRUPTED = 130


def run(config_name: str, job: Callable[[dict[str, Any], str], None]) -> None:
    """Compose conf/`config_name`.yaml with the command line, run `job(config, origin)`, and exit.

    `origin` is the file of the chosen study, for messages. Exit codes: 0 done, 2 bad input or refused plan, 3 budget
    refused, 130 interrupted, 1 anything else.
    """
    code: int | None = None

    @hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)
    def task(config: DictConfig) -> None:
        nonlocal code
        code = _call(job, config)

    try:
        task()
    except YAMLError as error:
        _console().print(f"Error: a configuration file is not valid YAML: {error}", style="bold red", markup=False)
        sys.exit(BAD_INPUT)
    except SystemExit as stop:
        # Hydra has printed what is wrong with the command line or the configuration and asks to exit with 1.
        sys.exit(BAD_INPUT if stop.code == 1 else stop.code)
    sys.exit(code)


def _call(job: Callable[[dict[str, Any], str], None], config: DictConfig) -> int:
    console = _console()
    try:
        job(_plain(config), _origin())
    except XstatError as error:
        console.print(f"Error: {error}", style="bold red", markup=False)
        return error.exit_code
    except KeyboardInterrupt:
        console.print("Interrupted. Run the same command again: an unfinished release is resumed, without new budget.")
        return INTERRUPTED
    except Exception:
        console.print_exception()
        return 1
    return 0


def _console() -> Console:
    return Console(stderr=True, soft_wrap=True, highlight=False)


def _plain(config: DictConfig) -> dict[str, Any]:
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = error.full_key or None
        raise StudyError("a value is missing", key=key, remedy=f"Set it on the command line: {key}=...") from None
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _origin() -> str:
    """The file that the `study` choice came from."""
    hydra_config = HydraConfig.get()
    choice = hydra_config.runtime.choices.get("study")
    for source in hydra_config.runtime.config_sources:
        path = Path(source.path) / "study" / f"{choice}.yaml"
        if path.exists():
            return str(path)
    return "the command line"
