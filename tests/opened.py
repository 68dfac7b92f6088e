"""What comes of tables that are to be opened, by the roles alone."""

from __future__ import annotations

from xstat_ray.model.messages import Coefficients
from xstat_ray.planning.plan import Plan
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.opening import ToOpen


def opened(plan: Plan, row: RowParty, column: ColumnParty, to_open: ToOpen) -> Coefficients:
    """Have a table approved, opened and put into declared order."""
    approval = row.approve(to_open.rerandomised, to_open.masked, to_open.receipts)
    permit = column.admit(to_open.masked, approval, plan.packing)
    nodes = range(plan.design.shown)
    noise = column.noise_of(nodes, plan.packing)
    sealed = column.open_part(to_open.masked, permit, nodes, noise)
    return row.unblind([sealed], plan.packing)
