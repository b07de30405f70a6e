"""Renaming of every source's keys to ours, one file a source.

A map is an ordered list of (regex, replacement) rules, applied one after the other to each key; a replacement of None
drops the key. Maps are per network class. Tensors change only in the named ways below.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import ModuleType

from torch import Tensor, nn

from . import huggingface, mmaction2, pytorchvideo, torchvision, videomae

Rules = Sequence[tuple[str, str | None]]

# how a source is told from its keys: any key that matches; the first source counts
_SOURCES = (
    (r"(backbone|cls_head|x_1d_b)\.", mmaction2),
    (r"(timesformer|videomae|vivit|vjepa2)\.", huggingface),
    (r"stem\.0\.|features\.0\.|conv_proj\.", torchvision),
    (r"patch_embed\.proj\.", videomae),
    (r"(model\.)?blocks\.\d+\.|s1\.pathway0", pytorchvideo),
)


def convert(state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """``state`` of any known source under ``model``'s own keys and shapes; our own checkpoints stay as they are.

    They may hold more than ``model``: a classifier where it has none.
    """
    own = model.state_dict()
    if not (state.keys() <= own.keys() or own.keys() <= state.keys()):
        for pattern, source in _SOURCES:
            if any(re.match(pattern, key) for key in state):
                state = _convert_from(source, state, model)
                break
    return fit_ones(state, own)


def _convert_from(source: ModuleType, state: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """By the rules and operations of the network's class; a network's ``trunk`` is converted as what it is."""
    trunk = {}
    if hasattr(model, "trunk") and hasattr(source, "TRUNK"):
        inner = {key: value for key, value in state.items() if re.match(source.TRUNK, key)}
        state = {key: value for key, value in state.items() if key not in inner}
        trunk = {f"trunk.{key}": value for key, value in _convert_from(source, inner, model.trunk).items()}
    kind = type(model).__name__
    state = rename(state, source.RULES.get(kind, ()))
    for operation in source.OPERATIONS.get(kind, ()):
        state = operation(state)
    return {**trunk, **state}


def rename(state: dict[str, Tensor], rules: Rules) -> dict[str, Tensor]:
    """``state`` with the rules applied to each key, in order."""
    renamed = {}
    for old, value in state.items():
        new = old
        for pattern, replacement in rules:
            if replacement is None:
                if re.search(pattern, new):
                    break
            else:
                new = re.sub(pattern, replacement, new)
        else:
            renamed[new] = value
    return renamed


def fit_ones(state: dict[str, Tensor], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors whose shape differs from ours by axes of length 1 only, in our shape.

    So a 2D kernel becomes the 3D one of temporal length 1, and a 1x1x1 convolution a linear layer.
    """

    def fit(key: str, value: Tensor) -> Tensor:
        if key not in own or value.shape == own[key].shape:
            return value
        squeezed = [n for n in value.shape if n != 1]
        return value.reshape(own[key].shape) if squeezed == [n for n in own[key].shape if n != 1] else value

    return {key: fit(key, value) for key, value in state.items()}
