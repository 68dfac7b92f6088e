"""Grid square codes of other sizes than a study counts (JIS X 0410; see `geo.mesh`).

A code of a finer square begins with the code of the square around it, so a row with one is taken
into that square. A coarser square cannot be divided among those of the study, and is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from xstat_ray.errors import InputError
from xstat_ray.geo.mesh import Level

_80KM = "[3-6][0-9][2-5][0-9]"
_10KM = f"{_80KM}[0-7]{{2}}"
_1KM = f"{_10KM}[0-9]{{2}}"
_LEVELS: dict[int, tuple[Level, str]] = {
    8: ("1km", _1KM),
    9: ("500m", f"{_1KM}[1-4]"),
    10: ("250m", f"{_1KM}[1-4]{{2}}"),
    11: ("125m", f"{_1KM}[1-4]{{3}}"),
}
"""Levels by the number of digits of their codes, with the form of these. Shorter codes look too
much like other numbers to be told by their form."""
_ALIKE = {9: "5$", 10: "[05-9].?$"}
"""How codes of other sizes end that have as many digits: of 2 km as of 500 m, and of tenths of 1 km
as of 250 m."""
_TENTH = f"{_1KM}([05-9][0-9]|[0-9][05-9])"
"""Tenths of 1 km, whose codes have ten digits as those of 250 m; these are none of them."""


class GridCodes:
    """The codes that a domain lists, all of one size."""

    def __init__(self, values: Sequence[str], digits: int) -> None:
        """Index the codes; `of` tells whether values are codes."""
        self._digits = digits
        self._level, _ = _LEVELS[digits]
        self._values = pa.array(values, pa.string())
        finer = [form for size, (_, form) in _LEVELS.items() if size > digits]
        if digits == 8:
            finer.append(_TENTH)
        self._finer = "|".join(f"^(?:{form})$" for form in finer) or "^$"

    @classmethod
    def of(cls, values: Sequence[str]) -> GridCodes | None:
        """Index the values of a domain; None where they are not all codes of one size."""
        digits = len(values[0]) if values else 0
        if digits not in _LEVELS:
            return None
        form = f"^(?:{_LEVELS[digits][1]})$"
        fit = pc.all(pc.match_substring_regex(pa.array(values, pa.string()), form)).as_py()
        return cls(values, digits) if fit else None

    @cached_property
    def _coarser(self) -> Mapping[Level, pa.Array]:
        """Codes of the coarser squares in which those of the domain lie, by level."""
        return {level: codes.unique() for level, codes in _around(self._values, self._digits)}

    def fit(self, texts: pa.Array, column: str) -> pa.Array:
        """Replace codes of finer squares by those of the squares around them.

        Args:
            texts: (N,) text; may hold nulls.
            column: name of the column, for errors.

        Returns:
            (N,) text, in which whatever is no code of a finer square in the domain is unchanged.

        Raises:
            InputError: a code is that of a coarser square in which squares of the domain lie.
        """
        other = self._are_others(texts)
        if not pc.any(other).as_py():
            return texts
        fitted = self._fit(texts.filter(other), column)
        return pc.replace_with_mask(texts, other, fitted)

    def _are_others(self, texts: pa.Array) -> pa.Array:
        """(N,) whether a text may be the code of another size; most are not, and take no time."""
        other = pc.not_equal(pc.utf8_length(texts), self._digits)
        if self._digits in _ALIKE:
            other = pc.or_(other, pc.match_substring_regex(texts, _ALIKE[self._digits]))
        return other.fill_null(False)

    def _fit(self, texts: pa.Array, column: str) -> pa.Array:
        for level, codes in self._coarser.items():
            if pc.any(pc.is_in(texts, codes)).as_py():
                raise self._too_coarse(f"squares of {level}", column)
        around = pc.utf8_slice_codeunits(texts, 0, self._digits)
        if self._digits > 8 and self._has_tenths(texts):
            raise self._too_coarse("tenths of 1km, whose codes look like those of 250m", column)
        finer = pc.match_substring_regex(texts, self._finer)
        inside = pc.and_(finer, pc.is_in(around, self._values)).fill_null(False)
        return pc.if_else(inside, around, texts)

    def _has_tenths(self, texts: pa.Array) -> bool:
        tenths = texts.filter(pc.match_substring_regex(texts, f"^(?:{_TENTH})$")).drop_null()
        within = pc.is_in(pc.utf8_slice_codeunits(tenths, 0, 8), self._coarser["1km"])
        return bool(pc.any(within).as_py())

    def _too_coarse(self, what: str, column: str) -> InputError:
        return InputError(
            f"the column holds {what}, and the study counts squares of {self._level}",
            column=column,
            remedy=f"Store codes of {self._level} or finer, or count coarser squares in the study",
        )


def _around(codes: pa.Array, digits: int) -> Iterator[tuple[Level, pa.Array]]:
    """Levels and (N,) codes of the squares around N of 1 km or finer."""
    in_10km = pc.utf8_slice_codeunits(codes, 0, 6)
    y = pc.utf8_slice_codeunits(codes, 6, 7).cast(pa.int8())
    x = pc.utf8_slice_codeunits(codes, 7, 8).cast(pa.int8())
    yield "80km", pc.utf8_slice_codeunits(codes, 0, 4)
    yield "10km", in_10km
    quarter = pc.add(pc.add(_flag(pc.greater_equal(x, 5)), 1), _flag(pc.greater_equal(y, 5), 2))
    yield "5km", _joined(in_10km, quarter)
    even = (pc.multiply(pc.divide(axis, 2), 2) for axis in (y, x))
    yield "2km", _joined(in_10km, *even, pa.repeat(5, len(codes)))
    for longer, (level, _) in _LEVELS.items():
        if longer < digits:
            yield level, pc.utf8_slice_codeunits(codes, 0, longer)


def _flag(condition: pa.Array, value: int = 1) -> pa.Array:
    return pc.multiply(condition.cast(pa.int8()), value)


def _joined(*parts: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(*(part.cast(pa.string()) for part in parts), "")
