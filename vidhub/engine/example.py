"""Inputs of the right shape for any network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..weights.types import DetectionConfig

_BANK = 300  # entries of a long-term bank: a minute of five people


def example_inputs(model: nn.Module, batch: int = 1, view: tuple[int, ...] | None = None) -> tuple[Tensor, ...]:
    """Random inputs of ``model``, of which ``model(*inputs)`` makes outputs.

    Args:
        batch: of clips, skeletons, features, ...; detectors get as many boxes, one in each clip.
        view: shape of one of them; None: as ``model.data_config`` has it.

    Returns:
        One tensor; of detectors clips, boxes (N, 5) that name their clip, and with a memory the bank.
    """
    like = next(model.parameters())
    device, view = like.device, view or model.data_config.view_shape
    generator = None if device.type == "meta" else torch.Generator(device).manual_seed(0)
    draw = {"generator": generator, "device": device, "dtype": like.dtype}
    inputs = [torch.randn(batch, *view, **draw)]
    if isinstance(model.data_config, DetectionConfig):
        height, width = view[-2:]
        box = torch.tensor([width * 0.25, 0.0, width * 0.75, height], device=device, dtype=like.dtype)
        clip = torch.arange(batch, device=device, dtype=like.dtype)
        inputs.append(torch.cat((clip[:, None], box.expand(batch, 4)), 1))
        if model.memory is not None:
            inputs.append(torch.randn(batch, model.num_features, _BANK, 1, 1, **draw))
    return tuple(inputs)
