"""Memory for results that are larger than caches."""

import math
from collections.abc import Sequence

import numpy as np
import torch


def empty(shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """A tensor to be written to, like ``torch.empty``.

    On the CPU NumPy gets the memory, which asks Linux for large pages: these are cleared several times as fast.
    """
    if device.type != "cpu":
        return torch.empty(tuple(shape), dtype=dtype, device=device)
    return torch.from_numpy(np.empty(math.prod(shape) * dtype.itemsize, np.uint8)).view(dtype).view(tuple(shape))
