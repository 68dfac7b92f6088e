"""A study of three areas and two kinds, planned, with noisy counts to publish."""

from __future__ import annotations

import numpy as np

from xstat_ray.inputs.study_file import parse
from xstat_ray.model.messages import Coefficients
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.publication.publish import Published, publish

NOISY = [[-3, 10], [9, 2], [4, 30]]
COAST = {"coast": {"east": ["a", "東京, 区"], "west": ["b"]}}


def plan(
    noise: str = "laplace", suppress_below: int = 5, *, coast: bool = False, **privacy: object
) -> Plan:
    """Plan the study; `coast` adds a level of coarser areas."""
    area: dict[str, object] = {"name": "area", "values": ["a", "b", "東京, 区"]}
    if coast:
        area["hierarchy"] = COAST
    column = {"id": "id", "dimensions": [{"name": "kind", "values": ["x", "y"]}]}
    study = {
        "name": "small",
        "row": {"id": "id", "dimensions": [area]},
        "column": column,
        "bounds": {"persons": 100},
    }
    privacy = {
        "noise": noise,
        "epsilon": "1/2",
        "delta": "1e-9",
        "suppress_below": suppress_below,
        **privacy,
    }
    raw = {"study": study, "privacy": privacy}
    return make_plan(parse(raw, origin="small.yaml"), key_bits=2048)


def tables(plan: Plan, noisy: list[list[int]] = NOISY) -> Published:
    return publish(plan, Coefficients(release="00" * 16, first=0, values=np.array(noisy)))
