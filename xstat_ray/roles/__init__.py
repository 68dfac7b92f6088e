"""The four roles, each a class that holds only what its role may hold.

A role's methods are all that it may do.
"""

from xstat_ray.roles.aggregator import Aggregator
from xstat_ray.roles.column_party import ColumnParty
from xstat_ray.roles.key_holder import KeyHolder
from xstat_ray.roles.row_party import RowParty

__all__ = ["Aggregator", "ColumnParty", "KeyHolder", "RowParty"]
