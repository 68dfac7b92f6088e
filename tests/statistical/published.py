"""Writes the table of docs/privacy.md about what is published of the made-up world.

    python -m tests.statistical.published docs/privacy.md [NAME...]

Rows that are named are made anew, all without a name; the others stay as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.statistical.evidence import (
    Tally,
    by_threshold,
    tally_day,
    tally_mean_day,
    tally_means,
    tally_study,
)
from tests.statistical.laptop import Laptop, plan_of

DRAWS = 25
BEGIN = "<!-- published: python -m tests.statistical.published docs/privacy.md -->\n"
END = "<!-- end of published -->"
HEAD = (
    "| published | a draw | of nobody | intervals hold | within 30 % of the truth |\n"
    "|---|---|---|---|---|\n"
)


def cells(name: str) -> Callable[[Laptop], Tally]:
    return lambda laptop: tally_study(plan_of(name), laptop.cells(name), DRAWS)["cell"]


def by_threshold_alone(laptop: Laptop) -> Tally:
    plan = by_threshold(plan_of("doto_movement"))
    return tally_study(plan, laptop.cells("doto_movement"), DRAWS)["cell"]


def spent(number: int) -> Callable[[Laptop], Tally]:
    plan = plan_of("spend")
    return lambda laptop: tally_means(plan, laptop.spend(), DRAWS)[number]


def one_day(laptop: Laptop) -> Tally:
    breakdown = laptop.plan.breakdowns[0]
    days = laptop.people[breakdown.layout.breakdown.name]
    return tally_day(laptop.plan, breakdown, days[len(days) // 2], DRAWS)


def mean_day(number: int) -> Callable[[Laptop], Tally]:
    def tally(laptop: Laptop) -> Tally:
        breakdown = laptop.plan.breakdowns[number]
        days = laptop.people[breakdown.layout.breakdown.name]
        return tally_mean_day(laptop.plan, breakdown, days.mean(axis=0), DRAWS)

    return tally


ROWS: dict[str, tuple[str, Callable[[Laptop], Tally]]] = {
    "doto_movement": ("cells of `doto_movement`", cells("doto_movement")),
    "threshold": ("the same, by threshold alone", by_threshold_alone),
    **{
        name: (f"cells of `{name}`", cells(name))
        for name in (
            "doto_movement_people",
            "doto_movement_mesh",
            "catchment",
            "preboarding",
            "revisit",
            "donation",
            "two_airlines",
            "nycflights",
        )
    },
    "spend": ("cells of `spend`", spent(0)),
    "mean_spend": ("means of `spend`", spent(1)),
    "day": ("people by residence, one day", one_day),
    "mean_day": ("people by residence, mean day", mean_day(0)),
    "age_gender": ("people by age and sex, mean day", mean_day(1)),
}
"""What is published, by name: title of the row, and how it is found."""


def row(title: str, tally: Tally) -> str:
    a_draw = tally.count / tally.draws
    shares = f"{tally.of_nobody:.1%} | {tally.held:.1%} | {tally.near:.0%}".replace("%", " %")
    return f"| {title} | {a_draw:,.{0 if a_draw >= 10 else 1}f} | {shares} |\n"


def update(page: Path, names: Sequence[str]) -> None:
    """Write rows anew between the markers of a page."""
    before, found, rest = page.read_text("utf-8").partition(BEGIN)
    old, ended, after = rest.partition(END)
    assert found and ended, f"{page} has no markers"
    rows = {line.split("|")[1].strip(): f"{line}\n" for line in old.splitlines()[2:]}
    with TemporaryDirectory() as folder:
        laptop = Laptop(Path(folder))
        for name in names:
            title, tally = ROWS[name]
            rows[title] = row(title, tally(laptop))
            print(rows[title], end="", flush=True)
    kept = "".join(rows[title] for title, _ in ROWS.values() if title in rows)
    page.write_text(f"{before}{BEGIN}{HEAD}{kept}{END}{after}", "utf-8")


if __name__ == "__main__":
    update(Path(sys.argv[1]), sys.argv[2:] or list(ROWS))
