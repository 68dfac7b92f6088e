"""What is told in sentences is what the tables hold, and noise is not told."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from xstat_ray.hokkaido.needs.findings import Findings, Rise, find


def tables(
    needs: list[dict[str, Any]] | None = None,
    opening: list[dict[str, Any]] | None = None,
    region: dict[str, Any] | None = None,
) -> dict[str, pa.Table]:
    """Make the columns that are read, of four areas."""
    rows = [
        {"rank": place, "name_en": name, "main_airport": port, "need_low95": low}
        for place, (name, port, low) in enumerate(
            [
                ("Nemuro", None, 9.0),
                ("Shari", "MMB", 4.0),
                ("Rausu", None, 2.0),
                ("Bihoro", "MMB", 1.0),
            ],
            start=1,
        )
    ]
    changes = [
        {"name_en": name, "before": 0.0, "after": change, "change": change}
        | {"low95": change - 0.1, "high95": change + 0.1}
        for name, change in (("Shari", 0.3), ("Bihoro", 0.11))
    ]
    return {
        "needs": pa.Table.from_pylist(rows if needs is None else needs),
        "opening": pa.Table.from_pylist(changes if opening is None else opening),
        "region": pa.Table.from_pylist([region or changes[0]]).drop_columns(["name_en"]),
    }


def text(found: Findings) -> str:
    return " ".join(found.sentences())


def test_the_sentences_name_the_areas():
    found = find(tables())
    assert found.watershed == {"KUH": (), "MMB": ("Shari", "Bihoro"), "SHB": (), "OBO": ()}
    assert found.untold == 2
    assert found.needy == ("Nemuro", "Shari", "Rausu"), "no more than three are spoken of"
    told = text(found)
    assert "told in 2 of 4 areas: Memanbetsu Airport: Shari, Bihoro. Since" in told
    assert "Since 2023-10-29, when its route opened, the share of Nakashibetsu Airport" in told
    assert "passengers of all areas has risen from 0% to 30%: in Shari from 0% to 30%." in told
    assert told.endswith("Transport is missing most, beyond noise, in Nemuro, Shari, Rausu.")


def test_a_change_that_one_of_many_areas_shows_by_chance_is_not_told():
    """Alone, an area with 1.1 times the half of its interval is told; among two it is not."""
    rows = tables()["opening"].to_pylist()
    assert find(tables()).risen == (Rise("Shari", 0.0, 0.3),)
    assert find(tables(opening=rows[1:])).risen == (Rise("Bihoro", 0.0, 0.11),)
    unknown = rows[0] | dict.fromkeys(("change", "low95", "high95"))
    assert find(tables(opening=[unknown, rows[1]])).risen == (Rise("Bihoro", 0.0, 0.11),)
    fallen = rows[1] | {"change": -0.5, "low95": -0.6, "high95": -0.4}
    assert find(tables(opening=[fallen])).risen == ()


def test_the_region_is_told_without_any_area_and_not_where_noise_could_have_made_it():
    rows = tables()["opening"].to_pylist()
    assert text(find(tables(opening=[rows[0] | {"change": None}]))).count("0% to 30%") == 1
    little = rows[0] | {"change": 0.09, "low95": -0.01, "high95": 0.19}
    assert find(tables(region=little)).region is None


def test_the_list_is_told_up_to_the_first_interval_that_reaches_zero():
    rows = tables()["needs"].to_pylist()
    rows[1]["need_low95"] = 0.0
    assert find(tables(rows)).needy == ("Nemuro",)
    rows[0]["rank"] = None
    assert find(tables(rows)).needy == ()


def test_what_is_only_noise_is_said_to_be():
    rows = [
        row | {"main_airport": None, "need_low95": 0.0} for row in tables()["needs"].to_pylist()
    ]
    opening = [row | {"change": None} for row in tables()["opening"].to_pylist()]
    told = list(find(tables(rows, opening, opening[0])).sentences())
    assert len(told) == 3 and all("told from noise" in sentence for sentence in told)
