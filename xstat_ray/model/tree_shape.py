"""What the shape of a row tree tells: which of its nodes can be taken for which others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xstat_ray.model.row_tree import RowTree


def lookalikes(tree: RowTree) -> tuple[NDArray[np.int64], ...]:
    """Count the nodes that each node can be taken for by whoever sees the tree without names.

    These are its orbit under the automorphisms of the tree. Two nodes of a level are in one orbit
    exactly if the trees below them have the same form, and so have those below their ancestors.

    Returns:
        From the leaves up (nodes,) sizes of orbits; a node with 1 is named by the shape.
    """
    forms = [np.zeros(tree.cells, np.int64)]
    for first in tree.first_children:
        forms.append(_forms(forms[-1], first))
    orbit = np.zeros(1, np.int64)
    sizes = [np.ones(1, np.int64)]
    for parent, form in zip(reversed(tree.parents), reversed(forms[:-1]), strict=True):
        orbit = _numbered(orbit[parent] * (form.max() + 1) + form)
        sizes.insert(0, np.bincount(orbit)[orbit])
    return tuple(sizes)


def _forms(below: NDArray[np.int64], first: NDArray[np.intp]) -> NDArray[np.int64]:
    """(nodes,) numbers, equal where the children have the same forms in any order."""
    if below.max() == 0:
        return _numbered(np.diff(first, append=len(below)))
    known: dict[bytes, int] = {}
    children = (np.sort(part).tobytes() for part in np.split(below, first[1:]))
    return np.array([known.setdefault(form, len(known)) for form in children])


def _numbered(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) the place of each value among the different ones."""
    numbers: NDArray[np.int64] = np.unique(values, return_inverse=True)[1]
    return numbers
