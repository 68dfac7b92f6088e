"""How much one person moves the counts: the bounds of a study, as far as they can bind.

A person's flags lie in different periods, and each meets at most R rows. So a person with c_j flags
in column j moves the counts of column j, at any level of the row tree, by at most R*c_j units, and
all counts of that level by at most R * (sum of c_j) in L1 and R^2 * (sum of c_j^2) in squared L2.

What the c_j can be follows from F boardings, q of them in one column, w periods of the study in the
window of one boarding, and T periods. Among all that is possible the largest sum of squares is that
of as many full columns as there are boardings for, as a convex function is largest where the values
are as unequal as they may be (Marshall, Olkin and Arnold, Inequalities, chapter 1: majorization).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Sensitivity:
    """What one person moves at most, added or removed, at any one level of the row tree."""

    rows: int
    """Rows that one flag meets: R, or fewer where a person cannot have so many in a period."""
    flags: int
    """Flags of one person."""
    column_flags: int
    """Flags of one person in one column."""
    flags_squared: int
    """Sum over the columns of the squares of one person's flags in each."""

    @classmethod
    def of(
        cls,
        *,
        rows: int,
        boardings: int,
        per_column: int,
        columns: int,
        window: int,
        periods: int,
        spread: bool,
    ) -> Sensitivity:
        """Work out what F, q and the rest of a study leave possible.

        Every figure is reached by some pair of tables, unless a window has gaps and the study is
        hardly longer than the window; then it may be too large, never too small.

        Args:
            rows: R, or the most rows of a person in a period, if these are fewer.
            boardings: F, boardings of one person.
            per_column: q, boardings of one person in one column.
            columns: number of columns, the offsets of the window not told apart.
            window: w, most periods of the study in which one boarding counts.
            periods: T, periods of the study.
            spread: whether each offset of the window is a column by itself.
        """
        boardings = min(boardings, per_column * columns)
        flags = min(periods, boardings * window)
        full, rest = divmod(boardings, per_column)
        split = window if spread else 1
        whole = window // split
        left = flags
        squares = 0
        for number, size in ((full * split, per_column * whole), (split, rest * whole)):
            filled, over = divmod(left, size) if size else (0, 0)
            if filled >= number:
                filled = number
                over = 0
            squares += filled * size**2 + over**2
            left -= filled * size + over
        most = min(boardings, per_column) * whole
        return cls(rows, flags, min(flags, most), squares)

    @property
    def l1(self) -> int:
        """L1 sensitivity in units: R*F*W where all bounds can bind."""
        return self.rows * self.flags

    @property
    def column_units(self) -> int:
        """m, the most units in one column.

        R * min(F, q) where all bounds can bind, and W times as much where the offset is no column.
        """
        return self.rows * self.column_flags

    @property
    def l2_squared(self) -> int:
        """Square of the L2 sensitivity, at most m * L1, and less where F is no multiple of q."""
        return self.rows**2 * self.flags_squared


def most_at_once(offsets: Iterable[int], span: int) -> int:
    """Count how many of these distances from an anchor can lie in a study at the same time.

    Equal distances count once. Others fall into different periods, unless they are closer together
    than one period, as those of one window never are.

    Args:
        offsets: distances from the anchor.
        span: length of the study, in the same unit; its end lies outside.
    """
    ordered = sorted(set(offsets))
    first = 0
    most = 0
    for number, offset in enumerate(ordered, start=1):
        while offset - ordered[first] >= span:
            first += 1
        most = max(most, number - first)
    return most
