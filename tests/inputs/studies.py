"""Two studies as YAML gives them, for tests that change a value of one."""

from __future__ import annotations

import copy
from typing import Any

import yaml

SIMPLE = yaml.safe_load("""
study:
  name: flights
  row: {id: tail, dimensions: [{name: dest, values: [A, B]}]}
  column:
    id: tail
    dimensions: [{name: maker, column: made_by, groups: {Boeing: [BOEING]}, other: Other}]
""")

TIMED = yaml.safe_load("""
study:
  name: hokkaido
  title: {en: Before boarding, ja: 搭乗前}
  id: {form: phone, region: JP}
  period: {grain: hour, start: 2023-08-28, end: "2024-04-01T00:00", timezone: Asia/Tokyo}
  row:
    {id: phone, time: hour, weight: dwell, dataset: telecom,
     dimensions: [{name: area, column: mesh, range: [1, 3]}]}
  column:
    id: phone
    dimensions: [{name: route, values: [HND-CTS]}]
    windows:
      - {anchor: departure_time, name: departure, unit: hour, from: -6, to: -1}
      - {anchor: arrival_time, name: arrival, unit: minute, offsets: [60, 180]}
  bounds: {rows: 2, boardings: 3, per_column: 2, persons: 4000}
privacy:
  {noise: gaussian, mechanism: flat, epsilon: 0.1, delta: "1e-6", suppress_below: 20, cap: "1/3"}
data: {anything: goes}
""")


def changed(base: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Copy `base` with `value` at a path such as study.row.dimensions.0.values.

    The value `...` removes the key.
    """
    raw = copy.deepcopy(base)
    *parents, last = path.split(".")
    node = raw
    for part in parents:
        node = node[int(part)] if part.isdigit() else node.setdefault(part, {})
    last = int(last) if last.isdigit() else last
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return raw
