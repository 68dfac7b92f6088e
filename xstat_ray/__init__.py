"""Cross-company statistics under encryption.

Two parties' tables go in, one differentially private table of population statistics comes out, and
nothing else:

>>> from xstat_ray import crosstab, load_study                          # doctest: +SKIP
>>> release = crosstab(load_study("study.yaml"), row="presence.parquet", column="boarding.parquet")
# doctest: +SKIP >>> release.statistics.to_string()                                      # doctest:
+SKIP

Importing the package does not start, nor import, Ray.
"""

from xstat_ray.crosstab import crosstab
from xstat_ray.errors import (
    BudgetError,
    InputError,
    PartyError,
    PlanError,
    ProtocolError,
    StudyError,
    XstatError,
)
from xstat_ray.inputs.source import Source
from xstat_ray.inputs.study_file import load as load_study
from xstat_ray.model.study import Study
from xstat_ray.planning.options import Options
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.publication.release import Release

__all__ = [
    "BudgetError",
    "InputError",
    "Options",
    "PartyError",
    "Plan",
    "PlanError",
    "ProtocolError",
    "Release",
    "Source",
    "Study",
    "StudyError",
    "XstatError",
    "crosstab",
    "load_study",
    "make_plan",
]
