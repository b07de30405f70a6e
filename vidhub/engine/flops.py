"""What a network costs, counted without memory or arithmetic."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..models._factory import create_model
from ..weights.types import AnyConfig, DetectionConfig


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
    inputs = [torch.empty(1, *view, device="meta")]
    if isinstance(model.data_config, DetectionConfig):  # with one person, and of a bank one minute of five people
        inputs.append([torch.tensor([[0.0, 0.0, view[3], view[2]]], device="meta")])
        inputs.append(torch.empty(1, model.num_features, 300, 1, 1, device="meta") if model.memory else None)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:  # torch 2.4 counts nothing in inference mode
        model(*inputs)
    num_params = sum(p.numel() for p in model.parameters())
    return Cost(num_params, counter.get_total_flops() // 2, view, model.data_config)
