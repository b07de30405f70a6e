"""What a network costs, counted without memory or arithmetic."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..models._factory import create_model
from ..weights.types import AnyConfig
from .example import example_inputs


class Cost(NamedTuple):
    """Size and work of a network; see ``cost_of``."""

    num_params: int
    multiply_adds: int  # of one view; convolutions and matrix products alone, as published tables count
    view: tuple[int, ...]  # of the published test: (C, T, H, W), or (1, T, F) of sound
    data_config: AnyConfig


def cost_of(name: str) -> Cost:
    """Parameters and multiply-adds of ``"arch"`` or ``"arch.tag"``; nothing is downloaded.

    Raises:
        UnknownNameError: no such model or weights.
    """
    with torch.device("meta"):
        model = create_model(name).requires_grad_(False)  # the counter fails on modules called with parameters
    view = model.data_config.view_shape
    with torch.no_grad(), FlopCounterMode(display=False) as counter:  # torch 2.4 counts nothing in inference mode
        model(*example_inputs(model))
    num_params = sum(p.numel() for p in model.parameters())
    return Cost(num_params, counter.get_total_flops() // 2, view, model.data_config)
