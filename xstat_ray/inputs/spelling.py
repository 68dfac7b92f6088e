"""Refuses values of a study file that YAML reads as something else than what is written.

YAML 1.1 takes unquoted 010 for 8, 1:30 for 90, no for false, and the second of two equal keys for
both. Once it is read, nothing tells what a person wrote; so the text of the file is looked at.
"""

from __future__ import annotations

import json
import re
from fractions import Fraction
from typing import Any

import yaml
from omegaconf._utils import get_yaml_loader

from xstat_ray.errors import StudyError

_TAG = "tag:yaml.org,2002:"
_BLOCKS = ("study", "privacy")
_NUMBERS = re.compile(
    r"study\.bounds\.\w+"
    r"|study\.column\.windows\[\d+]\.(from|to|step|offsets(\[\d+])?)"
    r"|study\.(row|column)\.dimensions\[\d+]\.(range\[\d+]|hierarchy\.(quadrants|width))"
    r"|study\.column\.measures\[\d+]\.(low|high)|privacy\.split\.\w+"
    r"|privacy\.(epsilon|delta|suppress_below|cap|releases|checked|view\.(epsilon|delta))"
)
"""Keys whose values are numbers; all others are texts, or switches."""
_SWITCHES = re.compile(r"study\.column\.offset_dimension|privacy\.(smooth|noise|padding)")
_WHOLE = re.compile(r"-?[1-9][0-9]*|0")
"""Whole numbers in their only spelling."""
_GROUPED = re.compile(r"[-+]?(0|[1-9][0-9]*(_[0-9]+)*)")
"""Whole numbers that mean what they show."""


def check_spelling(text: str, file: str, at: str = "") -> None:
    """Check that a study file says to YAML what it says to a reader.

    Args:
        text: the file. What is not a mapping is left to `parse`.
        file: its name, for messages.
        at: the block that the file holds, `privacy`; empty where it holds all blocks.

    Raises:
        StudyError: a value that YAML changes, or a key that occurs twice; names line and key, and
            how to write it.
        yaml.YAMLError: it is not YAML.
    """
    loader = get_yaml_loader()(text)
    try:
        root = loader.get_single_node()
        if isinstance(root, yaml.MappingNode):
            _Walk(loader, file).mapping(root, at)
    finally:
        loader.dispose()


class _Walk:
    """A walk over the nodes of one file."""

    def __init__(self, loader: Any, file: str) -> None:
        self._loader = loader
        self._file = file
        self._seen: set[int] = set()

    def mapping(self, node: yaml.MappingNode, path: str) -> None:
        lines: dict[str, int] = {}
        for key, value in node.value:
            if key.tag == f"{_TAG}merge":
                self._merged(value, path)
                continue
            if not isinstance(key, yaml.ScalarNode):
                continue
            below = f"{path}.{key.value}" if path else key.value
            if path:
                self._check_text(key, below)
            if key.value in lines:
                remedy = f"It is in line {lines[key.value]} too: keep one of them"
                raise self._error("a key occurs twice", key, below, remedy)
            lines[key.value] = _line(key)
            if (path or key.value in _BLOCKS) and not _is_null(value):
                self._node(value, below)

    def _merged(self, node: yaml.Node, path: str) -> None:
        """Look at what a merge key (`<<`) takes over, one mapping or several."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for one in nodes:
            if isinstance(one, yaml.MappingNode) and id(one) not in self._seen:
                self._seen.add(id(one))
                self.mapping(one, path)

    def _node(self, node: yaml.Node, path: str) -> None:
        if isinstance(node, yaml.ScalarNode):
            if _NUMBERS.fullmatch(path):
                self._check_number(node, path)
            elif not (_SWITCHES.fullmatch(path) and node.tag == f"{_TAG}bool"):
                self._check_text(node, path)
            return
        if id(node) in self._seen:
            return
        self._seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            self.mapping(node, path)
        elif isinstance(node, yaml.SequenceNode):
            for number, item in enumerate(node.value):
                self._node(item, f"{path}[{number}]")

    def _check_text(self, node: yaml.ScalarNode, path: str) -> None:
        kind = node.tag.removeprefix(_TAG)
        if kind == "str" or (kind == "int" and _WHOLE.fullmatch(node.value)):
            return
        quoted = json.dumps(node.value, ensure_ascii=False)
        remedy = f"Write it in quotes: {quoted}" if node.value else "Write a value, or remove it"
        raise self._changed(node, path, remedy)

    def _check_number(self, node: yaml.ScalarNode, path: str) -> None:
        kind = node.tag.removeprefix(_TAG)
        text = node.value
        if kind == "int" and not _GROUPED.fullmatch(text):
            plain = re.fullmatch(r"[-+]?0+([1-9][0-9]*)", text)
            remedy = f"Write {plain[1]}" if plain else "Write it in decimal digits"
            raise self._changed(node, path, remedy)
        if kind == "float" and loses_digits(text):
            raise self._changed(node, path, f'Write it in quotes: "{text}"')

    def _changed(self, node: yaml.ScalarNode, path: str, remedy: str) -> StudyError:
        kind = node.tag.removeprefix(_TAG)
        reading = "nothing" if kind == "null" else "something else than text"
        if kind in ("int", "float", "bool"):
            value = str(self._loader.construct_object(node))
            reading = value.lower() if kind == "bool" else f"the number {value}"
        written = f"{node.value} without quotes" if node.value else "what is empty"
        return self._error(f"YAML reads {written} as {reading}", node, path, remedy)

    def _error(self, problem: str, node: yaml.Node, path: str, remedy: str) -> StudyError:
        return StudyError(problem, file=self._file, line=_line(node), key=path, remedy=remedy)


def loses_digits(text: str) -> bool:
    """Whether a decimal number, read as binary, is written again with other digits."""
    try:
        return Fraction(text.replace("_", "")) != Fraction(repr(float(text.replace("_", ""))))
    except (ValueError, OverflowError):
        return True


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == f"{_TAG}null"


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
