"""The four roles.

Each class holds only what its role may hold and offers only what its role may do.
"""

from xstat_ray.roles.aggregator import Aggregator
from xstat_ray.roles.column_party import ColumnParty
from xstat_ray.roles.key_holder import KeyHolder
from xstat_ray.roles.row_party import RowParty

__all__ = ["Aggregator", "ColumnParty", "KeyHolder", "RowParty"]
