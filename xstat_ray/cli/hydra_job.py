"""Run a job: compose its configuration, print its help, report its errors, exit with a code."""

from __future__ import annotations

import os
import re
import sys
from codecs import BOM_UTF8
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException
from yaml import YAMLError

from xstat_ray.cli import help as pages
from xstat_ray.cli.arguments import is_text, readable, typed
from xstat_ray.cli.origins import Origins
from xstat_ray.cli.program import BAD_INPUT, INTERRUPTED, exit_code, exit_with, report, tell
from xstat_ray.errors import COMMAND_LINE, InputError, StudyError
from xstat_ray.inputs.section import suggestion
from xstat_ray.util.arrow import do_without_pandas
from xstat_ray.util.location import Location
from xstat_ray.util.object_stores import NAMES
from xstat_ray.util.package_files import CONF

_UNREADABLE = "the configuration cannot be read:"
_HIDDEN = (
    "\nA folder of that name in --config-dir hides the key. "
    "Keep only folders of choices there, such as study/."
)
_ENDLESS = "a file is nested without end. Look for an anchor (&) that names itself"
_OPTIONS = (
    *("--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp"),
    *("--cfg", "-c", "--info", "-i", "--package", "-p", "--resolve", "--hydra-help"),
    *("--run", "-r", "--multirun", "-m", "--shell-completion", "-sc"),
)
"""What Hydra understands, beside settings."""

_KEY = re.compile(r"[+~]*[\w.]+=")
_STORED = re.compile(rf"(?:{'|'.join(NAMES)})://[^\s'\",\]}}]*", re.IGNORECASE)

Job = Callable[[dict[str, Any], str], None]
"""Gets a composed configuration as plain dictionaries, and the file of the chosen study."""


def run(name: str, job: Job, words: Callable[[list[str]], list[str]] = list) -> NoReturn:
    """Compose conf/`name`.yaml with the command line, run `job(config, origin)`, and exit.

    Exit codes: 0 done, 2 bad input or refused plan, 3 budget refused, 130 interrupted, 1 anything
    else.

    Args:
        name: name of the job and of its configuration.
        job: what to run. `origin` is the file of the chosen study, for messages.
        words: turns what a person writes into settings.
    """
    exit_with(lambda: _run(name, job, words))


def _run(name: str, job: Job, words: Callable[[list[str]], list[str]]) -> int:
    arguments = sys.argv[1:]
    if (page := pages.asked(name, arguments)) is not None:
        print(page)
        return 0
    settings = words(arguments)
    _check(settings, f"See {pages.PROGRAM} {name} --help")
    sys.argv[1:] = readable(settings)
    return _compose(name, job)


def _check(arguments: list[str], remedy: str) -> None:
    """Refuse what is neither a setting nor an option, in plainer words than Hydra's.

    Raises:
        InputError: an argument of another form.
    """
    before = ""
    for argument in arguments:
        refuse_credentials(argument)
        if argument.startswith("-"):
            if argument.partition("=")[0] not in _OPTIONS:
                raise InputError(f"there is no option {argument}", remedy=remedy)
        elif "=" not in argument and before not in _OPTIONS and argument[:1] != "~":
            key, _, value = before.partition("=")
            if is_text(key):
                whole = typed(key, f"{value} {argument}")
                remedy = f"If it belongs to {key}, write {whole}. {remedy}"
            raise InputError(f"{argument!r} is not KEY=VALUE", remedy=remedy)
        before = argument


def refuse_credentials(argument: str) -> None:
    """Refuse a URI of an object store with credentials, before anything can repeat it.

    Raises:
        InputError: an argument has such a URI, or one that cannot be served; names its key alone.
    """
    key = argument.partition("=")[0].lstrip("+~") if _KEY.match(argument) else None
    for uri in _STORED.findall(argument):
        try:
            Location.of(uri)
        except InputError as error:
            raise InputError(
                error.problem, file=COMMAND_LINE, key=key, remedy=error.remedy
            ) from None


def _compose(name: str, job: Job) -> int:
    code = 0

    @hydra.main(version_base="1.3", config_path=str(CONF), config_name=name)
    def task(config: DictConfig) -> None:
        nonlocal code
        if code == INTERRUPTED:
            return
        ended = exit_code(lambda: _call(name, job, config))
        # Of several runs all are made, and the first that fails gives the exit code.
        code = ended if ended == INTERRUPTED else code or ended

    # Makes Hydra raise what is wrong with the command line or a file; otherwise it prints a
    # traceback and exits with 1.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        task()
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        report(_explained(error))
        return BAD_INPUT
    except UnicodeDecodeError:
        report(
            str(StudyError("a file is not UTF-8", file=_other_text(), remedy="Save it as UTF-8"))
        )
        return BAD_INPUT
    except RecursionError:
        report(f"{_UNREADABLE} {_ENDLESS}")
        return BAD_INPUT
    return code


def _other_text() -> str | None:
    """Find the first file of the configuration that is not UTF-8; None if it is none of these."""
    names = ("--config-dir", "-cd", "--config-path", "-cp")
    words = [word for argument in sys.argv for word in argument.split("=", 1)]
    for folder in [folder for option, folder in pairwise(words) if option in names]:
        for path in sorted(Path(folder).rglob("*.yaml")):
            try:
                path.read_text("utf-8")
            except UnicodeDecodeError:
                return str(path)
            except OSError:
                continue
    return None


def _call(name: str, job: Job, config: DictConfig) -> int:
    do_without_pandas()
    origins = Origins(name)
    if HydraConfig.get().mode == RunMode.MULTIRUN:
        tell(f"Run {HydraConfig.get().job.num + 1}: {origins}")
    try:
        origins.check_spelling()
        job(_plain(config, origins.study), origins.study)
    except InputError as error:
        raise origins.located(error) from None
    return 0


def _explained(error: Exception) -> str:
    """Tell what is wrong with a configuration; an unknown key or choice with the known ones."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        return _unknown_choice(error.missing_cfg_file, error.options)
    cause = error.__cause__
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and cause.parent_node is not None:
        known = sorted(str(key) for key in cause.parent_node if key != "hydra")
        typed_key = re.search(r"Could not override '([\w.]+)'", str(error))
        key = typed_key[1] if typed_key else str(cause.full_key)
        remedy = _elsewhere(key, known) or suggestion(str(cause.key), known)
        return str(StudyError("unknown key", file=COMMAND_LINE, key=key, remedy=remedy))
    if isinstance(error, OverrideParseException):
        key, _, value = error.override.partition("=")
        remedy = f"If it is one text, write {typed(key, value)}"
        problem = str(error.message).splitlines()[0]
        return str(InputError(problem, file=COMMAND_LINE, remedy=remedy))
    hidden = "No match in the defaults list" in str(error)
    return f"{_UNREADABLE} {error}{_HIDDEN if hidden else ''}"


def _elsewhere(key: str, known: Sequence[str]) -> str:
    """Tell where a setting is that was written one place too high or too low; empty if nowhere."""
    from xstat_ray.planning.settings import SOURCE_KEYS

    above, _, last = key.rpartition(".")
    if above and last in known:
        return f"Write {last}=... alone"
    if not above and last in SOURCE_KEYS:
        return f"Each party has one: data.row.{last}=... and data.column.{last}=..."
    return ""


def _unknown_choice(path: str, names: Sequence[str]) -> str:
    """Tell that a file such as study/NAME does not exist, with the names that do."""
    group, _, name = path.rpartition("/")
    close = get_close_matches(name, names, n=1)
    meant = f"Did you mean {close[0]!r}? " if close else ""
    remedy = f"{meant}The names are {', '.join(names)}"
    if name.endswith((".yaml", ".yml")) or "/" in path.removeprefix(f"{group}/"):
        stem = PurePath(name).stem
        remedy = (
            f"To use a file, keep it as FOLDER/study/{stem}.yaml and write "
            f"--config-dir FOLDER study={stem}. {remedy}"
        )
    return str(StudyError(f"there is no {group} {name!r}", remedy=remedy))


def _has_mark(file: str) -> bool:
    try:
        with Path(file).open("rb") as content:
            return content.read(len(BOM_UTF8)) == BOM_UTF8
    except OSError:
        return False


def _plain(config: DictConfig, study: str) -> dict[str, Any]:
    if OmegaConf.select(config, "study.study") is not None:
        remedy = "Make '# @package _global_' its first line"
        if _has_mark(study):
            remedy = "Save it without a byte-order mark, which hides its first line (UTF-8, no BOM)"
        raise StudyError("the study file lacks its package line", file=study, remedy=remedy)
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = error.full_key or None
        remedy = f"Set it on the command line: {key}=..."
        raise StudyError("a value is missing", key=key, remedy=remedy) from None
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}
