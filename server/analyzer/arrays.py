"""The kinds of array that pass between modules; shapes are told where they are used."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Samples = NDArray[np.float32]
"""Audio between -1 and 1, or a little beyond: (n,) mono or (channels, n)."""
Numbers = NDArray[np.integer[Any]]
Flags = NDArray[np.bool_]
