"""Refuses a cross of the attributes of several parties of one side, which would need a leak.

Whoever counts by two attributes of a person has to put them together. The aggregator could do so
by the person's tags: it would then see, of every row, whether the second party has that person, and
with which class. Under encryption it would be a product of two ciphertexts, which Paillier does not
have.
"""

from __future__ import annotations

from collections.abc import Sequence

from xstat_ray.inputs.section import Section

OF_ONE_PARTY = ("dimensions", "measures")
"""Keys of a side that somebody may write below one of its parties."""
OWNER = ("party",)
"""Keys by which somebody may give a dimension to one of the parties of its side."""


def refuse_cross(section: Section, names: Sequence[str]) -> None:
    """Refuse keys that would give one of several parties attributes of its own.

    Args:
        section: that of a party or of a dimension.
        names: the keys.

    Raises:
        StudyError: the section has one of them.
    """
    for name in names:
        if section.get(name) is not None:
            raise section.error(
                "attributes of one of several parties cannot be crossed with those of another: "
                "the aggregator would see who is in both tables, and with which class",
                name,
                remedy="Let one company supply the rows and the other the columns, or make a study "
                "for each (docs/recipes.md, Attributes of two companies)",
            )
