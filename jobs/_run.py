"""What all jobs share: Hydra composition, readable errors, exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from yaml import YAMLError

from xstat_ray.errors import StudyError, XstatError

CONF = Path(__file__).parents[1] / "conf"
BAD_INPUT = 2
INTERRUPTED = 130
_HIDDEN = "\nA folder of that name in --config-dir hides the key. Keep only folders of choices there, such as study/."


def run(config_name: str, job: Callable[[dict[str, Any], str], None]) -> None:
    """Compose conf/`config_name`.yaml with the command line, run `job(config, origin)`, and exit.

    `origin` is the file of the chosen study, for messages. Exit codes: 0 done, 2 bad input or
    refused plan, 3 budget refused, 130 interrupted, 1 anything else.
    """
    code: int | None = None

    @hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)
    def task(config: DictConfig) -> None:
        nonlocal code
        code = _call(job, config)

    if {"-h", "--help"} & set(sys.argv[1:]):
        print(_help(config_name))
        sys.exit()
    # Makes Hydra raise what is wrong with the command line or a file; otherwise it prints a
    # traceback and exits with 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        task()
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        hidden = "No match in the defaults list" in str(error)
        _report(f"the configuration cannot be read: {error}{_HIDDEN if hidden else ''}")
        code = BAD_INPUT
    except RecursionError:
        _report(
            "the configuration cannot be read: a file is nested without end. Look for an anchor (&) that names itself"
        )
        code = BAD_INPUT
    sys.exit(code)


def _help(config_name: str) -> str:
    """The choices of the groups, and the main configuration file, whose comments explain every key."""
    text = (CONF / f"{config_name}.yaml").read_text(encoding="utf-8").rstrip()
    groups = [folder for folder in sorted(CONF.iterdir()) if f"\n  - {folder.name}: " in text]
    choices = [
        f"{group.name}={'|'.join(sorted(file.stem for file in group.glob('*.yaml')))}"
        for group in groups
    ]
    return "\n".join(
        [
            f"python -m jobs.{config_name} [--config-dir FOLDER] [KEY=VALUE ...]",
            "",
            *choices,
            "",
            text,
        ]
    )


def _call(job: Callable[[dict[str, Any], str], None], config: DictConfig) -> int:
    try:
        job(_plain(config), _origin())
    except XstatError as error:
        _report(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _console().print(
            "Interrupted. The same command resumes an unfinished release, without spending budget again."
        )
        return INTERRUPTED
    except Exception:
        _console().print_exception()
        return 1
    return 0


def _report(message: str) -> None:
    _console().print(f"Error: {message}", style="bold red")


def _console() -> Console:
    return Console(stderr=True, soft_wrap=True, markup=False, highlight=False)


def _plain(config: DictConfig) -> dict[str, Any]:
    if OmegaConf.select(config, "study.study") is not None:
        remedy = "Make '# @package _global_' its first line"
        raise StudyError("the study file lacks its package line", file=_origin(), remedy=remedy)
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = error.full_key or None
        raise StudyError(
            "a value is missing", key=key, remedy=f"Set it on the command line: {key}=..."
        ) from None
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
