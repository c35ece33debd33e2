"""The types and fixed numbers of the view's columns."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Amounts: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]
Rows: TypeAlias = NDArray[np.intp]
Scores: TypeAlias = NDArray[np.float64]

CPU, MEMORY, PODS, STORAGE = 0, 1, 2, 3
