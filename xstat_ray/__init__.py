"""Cross-company statistics under encryption.

Two parties hold tables about the same people: a mobile operator knows who was where, an airline
knows who flew. Both tables go in; one differentially private table of population statistics comes
out, and neither party shows the other a row.

Three steps lead to a release:

1. Write a *study*, a YAML file on which both parties agree: what the id is, which values the rows
   and the columns of the published table have, how much one person may contribute, and the privacy
   budget. The studies in `conf/study` are examples.
2. Load it and look at the plan: how large the encrypted table gets, which error to expect, what it
   costs. A plan that cannot be run safely is refused here, before any data is read.
3. Run it. The budget is debited once, noise is drawn once, and a run that was interrupted is
   finished by the same call.

```python
from xstat_ray import Options, crosstab, load_study

study = load_study("study.yaml")
print(Options().plan(study).as_dict())
release = crosstab(study, row="presence.parquet", column="boarding.parquet", out="out")
print(release.statistics.to_string())
```

A release has `statistics` (one row per cell and column), `areas` (sums such as municipalities, with
intervals), `manifest` (what it was made of and what it cost) and `plan`. What can go wrong with
tables, studies, budgets and parties raises a subclass of `XstatError`, which says where, why and
what to do.

`crosstab` runs everything in one process; `Options(runtime="ray")` spreads it over a Ray cluster.
Both *simulate* the isolation of the parties. Between companies each party runs in a domain of its
own and only signed files cross: see `xstat_ray.federation` and docs/domains.md.

To learn how it works, read `xstat_ray.protocol.play`: the whole protocol in one function.

Each name brings its module along when it is first used, so that `xstat-ray --help` answers at once.
Importing the package neither starts nor imports Ray.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from xstat_ray.errors import (
    BudgetError,
    InputError,
    PartyError,
    PlanError,
    ProtocolError,
    StudyError,
    XstatError,
)

if TYPE_CHECKING:
    from xstat_ray.inputs.databases import DatabaseTable
    from xstat_ray.inputs.lakes import Delta, Iceberg
    from xstat_ray.inputs.source import Source
    from xstat_ray.inputs.study_file import load as load_study
    from xstat_ray.inputs.table_options import TableOptions
    from xstat_ray.job import crosstab
    from xstat_ray.model.study import Study
    from xstat_ray.planning.options import Options
    from xstat_ray.planning.plan import Plan, make_plan
    from xstat_ray.publication.release import Release
else:
    _PLACES = {
        "DatabaseTable": "inputs.databases.DatabaseTable",
        "Delta": "inputs.lakes.Delta",
        "Iceberg": "inputs.lakes.Iceberg",
        "Options": "planning.options.Options",
        "Plan": "planning.plan.Plan",
        "Release": "publication.release.Release",
        "Source": "inputs.source.Source",
        "Study": "model.study.Study",
        "TableOptions": "inputs.table_options.TableOptions",
        "crosstab": "job.crosstab",
        "load_study": "inputs.study_file.load",
        "make_plan": "planning.plan.make_plan",
    }
    """Where the names are, but for the errors."""

    def __getattr__(name: str) -> object:
        """Import a name, and keep it."""
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module, _, inside = _PLACES[name].rpartition(".")
        value = getattr(import_module(f"{__name__}.{module}"), inside)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        """The names that the package exports, imported or not."""
        return __all__


__all__ = [
    "BudgetError",
    "DatabaseTable",
    "Delta",
    "Iceberg",
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
    "TableOptions",
    "XstatError",
    "crosstab",
    "load_study",
    "make_plan",
]
