"""What the driver decides by itself; whole runs are tested by the suite over all deployments."""

from __future__ import annotations

import pytest

from xstat_ray.errors import PartyError
from xstat_ray.runtime.driver import check_replicas


def test_replicas_must_agree() -> None:
    check_replicas("row", ["5", "5"])
    with pytest.raises(PartyError, match="replicas of the column party disagree"):
        check_replicas("column", ["5", "5", "6"])
