"""Random draws on the CPU, from a given generator or from torch's own."""

import numpy as np
import torch


def uniform(count: int, generator: torch.Generator | None = None) -> np.ndarray:
    """``count`` float64 numbers in [0, 1), from ``generator`` or from torch's global one."""
    device = "cpu" if generator is None else generator.device
    return torch.rand(count, generator=generator, device=device, dtype=torch.float64).cpu().numpy()


def integers(count: int, low: int, high: int, generator: torch.Generator | None = None) -> np.ndarray:
    """``count`` integers in [low, high], both ends included."""
    return low + (uniform(count, generator) * (high - low + 1)).astype(np.int64)


def integer(low: int, high: int, generator: torch.Generator | None = None) -> int:
    """One integer in [low, high], both ends included."""
    return int(integers(1, low, high, generator)[0])
