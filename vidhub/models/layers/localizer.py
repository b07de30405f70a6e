"""What the networks on a video's features share."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import InputError


def check_features(x: Tensor, feature_dim: int, num_steps: int | None = None) -> None:
    """Features must be (batch, feature_dim, num_steps), or of any number of steps where that is None.

    Raises:
        InputError: they are not.
    """
    if torch.jit.is_tracing():
        return
    if x.ndim != 3 or x.shape[1] != feature_dim or num_steps not in (None, x.shape[2]):
        wanted = f"(batch, {feature_dim}, {num_steps or 'steps'})"
        raise InputError(f"expected features of shape {wanted}, got {tuple(x.shape)}.")
