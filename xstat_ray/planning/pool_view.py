"""Tells, for the plan and the manifest, what the compute pool may learn about one person."""

from __future__ import annotations

from typing import Any

from xstat_ray.model.study import Study
from xstat_ray.privacy.padding import Padding

_SEEN = (
    "PADDING IS OFF: the compute pool sees exactly how many rows each blinded cell has in each "
    "batch, and how many of them matched"
)
_REMEDY = ". Set privacy.padding=dp to hide that."
PADDING_OFF = _SEEN + _REMEDY


def as_dict(study: Study, padding: Padding | None) -> dict[str, Any]:
    """Tell the budget of the view, its split and the dummies that it costs, as JSON holds it."""
    if padding is None:
        return {"padding": "off", "warning": padding_off(study)}
    kinds = {
        "matched_rows": padding.matched,
        "unmatched_rows": padding.unmatched,
        "flags": padding.flags,
    }
    return {
        "padding": "dp",
        "epsilon": str(study.privacy.view.epsilon),
        "delta": str(study.privacy.view.delta),
        "rows_added": padding.rows_added,
        "flags_added": padding.flags_added,
        "flags_a_row": _flags_a_row(study, padding),
        **({"combinations_of_parties": len(padding.meets) - 1} if padding.parties > 1 else {}),
        "kinds": {
            name: {
                "l1": kind.l1,
                "epsilon": str(kind.epsilon),
                "scale": kind.scale,
                "expected": kind.shift,
            }
            for name, kind in kinds.items()
        },
    }


def _flags_a_row(study: Study, padding: Padding) -> int | dict[str, int]:
    """R, or that of each row party by its name."""
    names = [terms.name for terms in study.row.parties]
    return dict(zip(names, padding.rows, strict=True)) if names else padding.copies


def padding_off(study: Study) -> str:
    """Warn that there is no padding."""
    if study.row.parties:
        which = ", and with which of the column parties" if study.column.parties else ""
        return (
            "PADDING IS OFF: the compute pool sees exactly how many rows of each row party each "
            f"blinded cell has in each batch, and how many of them matched{which}{_REMEDY}"
        )
    if not study.column.parties:
        return PADDING_OFF
    return f"{_SEEN}, and with which of the column parties{_REMEDY}"


def sentence(study: Study, padding: Padding | None) -> str:
    """Tell the budget of the view and the dummies that it costs in a sentence for people."""
    if padding is None:
        apart = ", of each row party apart, in one order of cells" if study.row.parties else ""
        return f"PADDING OFF: exact row and match totals of blinded cells{apart}"
    view = study.privacy.view
    rows = padding.row_parties
    of_one = "one" if rows == 1 else f"{rows}"
    copies = f", and {padding.copies} flags in place of {of_one}" if padding.copies > rows else ""
    parties = f" of {padding.parties} column parties together" if padding.parties > 1 else ""
    of_rows = f" of {rows} row parties together" if rows > 1 else ""
    for_rows = " for all of them" if rows > 1 else ""
    return (
        f"epsilon {view.epsilon}, delta {float(view.delta):g}, by dummies in {padding.batches} "
        f"batches: about {padding.rows_added:,} rows{of_rows} and {padding.flags_added:,} flags"
        f"{parties}{for_rows}{copies}"
    )
