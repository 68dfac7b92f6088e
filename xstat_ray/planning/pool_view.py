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
        "flags_a_row": padding.copies,
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


def padding_off(study: Study) -> str:
    """Warn that there is no padding."""
    if study.row.parties:
        which = " with which of the column parties" if study.column.parties else ""
        return (
            "PADDING IS OFF: the compute pool sees exactly how many rows of each row party each "
            f"blinded cell has in each batch, and how many of them matched{which}. Nothing hides "
            "that where there are several row parties."
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
    copies = f", and {padding.copies} flags in place of one" if padding.copies > 1 else ""
    parties = f" of {padding.parties} column parties together" if padding.parties > 1 else ""
    return (
        f"epsilon {view.epsilon}, delta {float(view.delta):g}, by dummies in {padding.batches} "
        f"batches: about {padding.rows_added:,} rows and {padding.flags_added:,} flags{parties}"
        f"{copies}"
    )
