"""One mapping of a configuration, read field by field.

Error messages name the key and the remedy. A field that is absent and one that is explicitly `null`
mean the same: the default, or an error where there is none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from fractions import Fraction
from pathlib import Path
from typing import TypeGuard

from xstat_ray.errors import InputError, StudyError
from xstat_ray.util.location import Location

QUOTE = (
    "Put it in quotes: YAML reads bare words such as NO, off and null, and dates, "
    "as something else than text"
)


class Section:
    """A mapping inside a configuration, whose fields have known names."""

    def __init__(self, raw: object, *, key: str, origin: str, known: Sequence[str]) -> None:
        """Check the shape and the names of the fields.

        Args:
            raw: what the configuration holds at `key`.
            key: dotted key of the section; empty for the whole file.
            origin: name of the file, for error messages.
            known: names that fields may have.

        Raises:
            StudyError: not a mapping, or a field has an unknown name.
        """
        self.key = key
        self.origin = origin
        if not isinstance(raw, Mapping):
            raise self.error("is not a mapping", remedy=f"It holds {', '.join(known)}")
        self.raw: Mapping[object, object] = raw
        for name in raw:
            if name not in known:
                raise self.error("unknown key", str(name), remedy=suggestion(str(name), known))

    def error(
        self, problem: str, name: str | None = None, *, remedy: str | None = None
    ) -> StudyError:
        """Make a StudyError that points at field `name`, or at the section itself."""
        return StudyError(problem, file=self.origin, key=self.path(name), remedy=remedy)

    def path(self, name: str | None) -> str | None:
        """Dotted key of field `name`; None for the whole file."""
        return ".".join(part for part in (self.key, name) if part) or None

    def get(self, name: str) -> object:
        """Raw value of an optional field, None where it is absent."""
        return self.raw.get(name)

    def need(self, name: str) -> object:
        """Raw value of a required field.

        Raises:
            StudyError: absent or null.
        """
        value = self.get(name)
        if value is None:
            raise self.error(f"{name} is missing", name)
        return value

    def text(self, name: str, default: str | None = None) -> str:
        """Read a non-empty text.

        Raises:
            StudyError: absent without a default, not text, or empty.
        """
        value = self.get(name) if default is not None else self.need(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or not value.strip():
            remedy = "Write a value, or leave it out" if isinstance(value, str) else QUOTE
            raise self.error(f"{name} is not a text", name, remedy=remedy)
        return value

    def optional_text(self, name: str) -> str | None:
        """Read a non-empty text; None where the field is absent."""
        return None if self.get(name) is None else self.text(name)

    def texts(self, name: str) -> tuple[str, ...]:
        """Read a list of texts, or one text alone; absent and empty give an empty list.

        Raises:
            StudyError: not text, or empty.
        """
        value = self.get(name)
        if value in (None, [], ()):
            return ()
        if isinstance(value, str):
            return (self.text(name),)
        items = self.items(name)
        for i, item in enumerate(items):
            if not isinstance(item, str) or not item.strip():
                raise self.error(
                    f"{name} holds something that is not a text", f"{name}[{i}]", remedy=QUOTE
                )
        return tuple(str(item) for item in items)

    def disk_path(self, name: str, default: str | None = None) -> Path:
        """Read the path of what lies on a disk.

        Raises:
            StudyError: absent without a default, or a URI of anything else than a disk.
        """
        return self._on_disk(self.text(name, default), name)

    def optional_disk_path(self, name: str) -> Path | None:
        """Read the path of what lies on a disk; None where the field is absent."""
        return None if self.get(name) is None else self.disk_path(name)

    def disk_paths(self, name: str) -> tuple[Path, ...]:
        """Read a list of paths of a disk, or one alone; absent and empty give an empty list.

        Raises:
            StudyError: not text, or a URI of anything else than a disk.
        """
        return tuple(self._on_disk(text, name) for text in self.texts(name))

    def location(self, name: str) -> Location:
        """Read the place of a file or folder: a path of a disk, or a URI of an object store.

        Raises:
            StudyError: absent, or a URI that cannot be served.
        """
        return self._located(self.text(name), name)

    def locations(self, name: str) -> tuple[Location, ...]:
        """Read a list of places, or one place alone; absent and empty give an empty list.

        Raises:
            StudyError: not text, or a URI that cannot be served.
        """
        return tuple(self._located(text, name) for text in self.texts(name))

    def _on_disk(self, text: str, name: str) -> Path:
        location = self._located(text, name)
        if location.is_local:
            return location.local
        raise self.error("an object store cannot serve here", name, remedy="Name a path of a disk")

    def _located(self, text: str, name: str) -> Location:
        if text.startswith("~"):
            with suppress(RuntimeError):
                text = str(Path(text).expanduser())
        try:
            return Location.of(text)
        except InputError as error:
            raise self.error(error.problem, name, remedy=error.remedy) from None

    def choice(self, name: str, options: Sequence[str], default: str | None = None) -> str:
        """Read one of `options`.

        Raises:
            StudyError: anything else.
        """
        value = self.text(name, default)
        if value not in options:
            raise self.error(
                f"{name} {value!r} is not supported",
                name,
                remedy=f"Choose one of {', '.join(options)}",
            )
        return value

    def whole(self, name: str, default: int, *, least: int) -> int:
        """Read a whole number that is at least `least`.

        Raises:
            StudyError: not a whole number, or too small.
        """
        value = self.get(name)
        if value is None:
            return default
        if not is_whole(value) or value < least:
            remedy = "Write it in digits, without quotes, decimals and exponent"
            raise self.error(
                f"{name} is not a whole number of at least {least}", name, remedy=remedy
            )
        return value

    def wholes(self, name: str) -> list[int]:
        """Read a non-empty list of whole numbers.

        Raises:
            StudyError: anything else.
        """
        items = self.items(name)
        for i, item in enumerate(items):
            if not is_whole(item):
                raise self.error(
                    f"{name} holds something that is not a whole number",
                    f"{name}[{i}]",
                    remedy="Write whole numbers without quotes and leading zeros, such as 8",
                )
        return [item for item in items if is_whole(item)]

    def flag(self, name: str, default: bool) -> bool:
        """Read a true or false.

        Raises:
            StudyError: anything else.
        """
        value = self.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.error(f"{name} is neither true nor false", name)
        return value

    def fraction(self, name: str, default: Fraction) -> Fraction:
        """Read an exact rational: a whole number, a decimal (0.1 is 1/10), or a text such as "1/3".

        Raises:
            StudyError: not a finite number.
        """
        value = self.get(name)
        if value is None:
            return default
        numeric = (
            is_whole(value)
            or isinstance(value, str)
            or (isinstance(value, float) and math.isfinite(value))
        )
        try:
            if numeric:
                return Fraction(str(value))
        except (ValueError, ZeroDivisionError):
            pass
        raise self.error(f"{name} is not a number", name, remedy='Write 1, 0.5 or "1/3"') from None

    def items(self, name: str) -> Sequence[object]:
        """Read a non-empty list.

        Raises:
            StudyError: absent, not a list, or empty.
        """
        value = self.need(name)
        if not isinstance(value, list | tuple):
            raise self.error(f"{name} is not a list", name, remedy="Write [FIRST, SECOND]")
        if not value:
            raise self.error(f"{name} is empty", name, remedy="Write at least one entry")
        return value

    def child(self, name: str, known: Sequence[str]) -> Section:
        """Read a mapping inside this one.

        Raises:
            StudyError: absent, or not a mapping with `known` fields.
        """
        return self.at(self.need(name), name, known)

    def children(self, name: str, known: Sequence[str]) -> list[Section]:
        """Read a list of mappings; absent and empty give an empty list.

        Raises:
            StudyError: not a list of mappings with `known` fields.
        """
        if self.get(name) in (None, [], ()):
            return []
        return [self.at(item, f"{name}[{i}]", known) for i, item in enumerate(self.items(name))]

    def at(self, raw: object, name: str, known: Sequence[str]) -> Section:
        """Make a section of `raw`, which stands at `name` below this one."""
        return Section(raw, key=self.path(name) or "", origin=self.origin, known=known)


def is_whole(value: object) -> TypeGuard[int]:
    """Whether a value is an integer; booleans, which Python counts as integers, are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def first_duplicate(items: Iterable[str]) -> str | None:
    """First item that has occurred before, None if there is none."""
    seen: set[str] = set()
    for item in items:
        if item in seen:
            return item
        seen.add(item)
    return None


def suggestion(name: str, known: Sequence[str]) -> str:
    """What to do about an unknown name: the known one that resembles it, or all of them."""
    close = get_close_matches(name, known, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Known keys are {', '.join(known)}"
