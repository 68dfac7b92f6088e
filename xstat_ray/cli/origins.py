"""Tells where the values of a composed configuration came from: a file, or the command line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from xstat_ray.cli.arguments import typed
from xstat_ray.errors import COMMAND_LINE, InputError, StudyError
from xstat_ray.inputs.section import QUOTE
from xstat_ray.inputs.spelling import check_spelling, loses_digits

_CHECKED = {"study": "", "privacy": "privacy"}
"""Groups whose files are looked at for their spelling, and the block that one holds."""
_GLOBAL = re.compile(r"#\s*@package\s+_global_\s*$", re.MULTILINE)
_CHANGED = re.compile(r"(?<![\w.+\"'-])(\+[0-9]+|[0-9]+_[0-9_]+)(?![\w.])")
"""Whole numbers that Hydra reads without their sign or underscores."""


def arguments_of_job() -> list[str]:
    """The settings of the current job's command line, each `key=value`."""
    # Not iterated over, which would look for what `${...}` names among Hydra's own settings.
    task = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
    return [str(text) for text in cast(list[object], task)]


@dataclass(frozen=True)
class Override:
    """A setting of the command line."""

    key: str
    value: str
    """As it was typed, less what the shell took away."""


class Origins:
    """The files and settings that the configuration of the current job was composed of."""

    def __init__(self, name: str) -> None:
        """Take the name of the job, while Hydra runs it."""
        self._name = name
        hydra = HydraConfig.get()
        self._choices: Mapping[str, Any] = hydra.runtime.choices
        self._folders = [Path(source.path) for source in hydra.runtime.config_sources]
        words = (text.partition("=") for text in arguments_of_job())
        settings = [Override(_key(key), value) for key, _, value in words]
        self._overrides = [one for one in settings if one.key not in self._choices]

    def __str__(self) -> str:
        """The settings of the command line."""
        return " ".join(f"{one.key}={one.value}" for one in self._overrides)

    @property
    def study(self) -> str:
        """The file of the chosen study; the command line where there is none."""
        path = self._file("study", self._choices.get("study"))
        return COMMAND_LINE if path is None else str(path)

    def check_spelling(self) -> None:
        """Check the files of study and privacy, and the settings, for values that were changed.

        Raises:
            StudyError: one was; names the file and the line, or the command line.
        """
        for group, block in _CHECKED.items():
            path = self._file(group, self._choices.get(group))
            if path is not None:
                text = path.read_text("utf-8")
                try:
                    check_spelling(text, str(path), "" if _GLOBAL.search(text) else block)
                except yaml.YAMLError:  # Hydra has refused it already.
                    continue
        for override in self._overrides:
            _check_override(override)

    def located(self, error: InputError) -> InputError:
        """Return an error that names the place where the value of its key stands.

        An error about another file is returned as it is.
        """
        if error.key is None or error.line is not None or error.file not in (None, self.study):
            return error
        override = self._override(error.key)
        place = COMMAND_LINE if override is not None else self._place(error.key) or error.file
        if error.file is None and place is None:
            return error
        remedy = error.remedy
        if override is not None and remedy == QUOTE:
            remedy = f"Write it in quotes, twice: {typed(override.key, override.value)}"
        return type(error)(
            error.problem,
            file=place,
            key=error.key,
            column=error.column,
            row=error.row,
            remedy=remedy,
        )

    def _override(self, key: str) -> Override | None:
        """The last setting of the command line for this key, one above it or one below it."""
        plain = _key(key)
        for one in reversed(self._overrides):
            if f"{plain}.".startswith(f"{one.key}.") or one.key.startswith(f"{plain}."):
                return one
        return None

    def _place(self, key: str) -> str | None:
        """The file that sets a key: the study's before the job's before those of other groups."""
        plain = _key(key)
        for path, block in self._files():
            try:
                text = path.read_text("utf-8")
                below = "" if _GLOBAL.search(text) else block
                inner = plain.removeprefix(f"{below}.") if below else plain
                if below and inner == plain:
                    continue
                content = OmegaConf.load(path)
                if OmegaConf.select(content, inner, default=None) is not None:
                    return str(path)
            except (OSError, yaml.YAMLError, OmegaConfBaseException):
                continue
        return None

    def _files(self) -> Iterator[tuple[Path, str]]:
        """Files of the configuration, the one that wins first, and the block that each holds."""
        groups = [group for group in self._choices if not group.startswith("hydra/")]
        names = [("study", self._choices.get("study")), ("", self._name)]
        names += [(group, self._choices[group]) for group in groups if group != "study"]
        for group, name in names:
            path = self._file(group, name)
            if path is not None:
                yield path, group.replace("/", ".")

    def _file(self, group: str, name: object) -> Path | None:
        paths = (folder / group / f"{name}.yaml" for folder in self._folders)
        return None if name is None else next((path for path in paths if path.is_file()), None)


def _key(text: str) -> str:
    """A dotted key in one form: without marks of Hydra, places in lists as `.0`."""
    return re.sub(r"\[(\d+)]", r".\1", text.lstrip("+~").partition("@")[0])


def _check_override(override: Override) -> None:
    """Refuse a setting of study or privacy whose digits Hydra has changed.

    Raises:
        StudyError: it was changed; with the setting to type.
    """
    block = override.key.partition(".")[0]
    if block not in _CHECKED or not override.value or override.value[0] in "\"'":
        return
    number = OverridesParser.create().parse_override(f"x={override.value}").value()
    lossy = isinstance(number, float) and loses_digits(override.value)
    texts = block == "study" and re.search("values|groups|only", f"{override.key}={override.value}")
    changed = _CHANGED.search(override.value) if texts else None
    if lossy or changed:
        raise StudyError(
            f"{changed[0] if changed else override.value} is read as another spelling of a number",
            file=COMMAND_LINE,
            key=override.key,
            remedy=f"Write it in quotes, twice: {_requoted(override, changed)}",
        )


def _requoted(override: Override, changed: re.Match[str] | None) -> str:
    if changed is None:
        return typed(override.key, override.value)
    value = f'{override.value[: changed.start()]}"{changed[0]}"{override.value[changed.end() :]}'
    return shlex.quote(f"{override.key}={value}")
