"""What every recognition network shares: stages one after the other, then a classifier head."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ...errors import InputError

Window = tuple[int, int, int]  # frames, height, width


def average_windows(x: Tensor, window: Window | None) -> Tensor:
    """Averages of (B, C, T, H, W) over every ``window`` at stride 1, or over everything: (B, C, t, h, w).

    Networks with a pooling of fixed size, tested on larger clips, weigh the middle more than the borders this way.
    """
    if window is None:
        return x.mean((2, 3, 4), keepdim=True)
    kernel = [min(k, n) for k, n in zip(window, x.shape[2:], strict=True)]
    return F.avg_pool3d(x.float(), kernel, 1).to(x.dtype)  # which a CPU has no bfloat16 for


class ClassifierHead(nn.Module):
    """Average pooling, dropout, linear classifier: (B, C, T, H, W) -> (B, num_classes).

    With ``num_classes=0`` there is no classifier and the pooled features come out. ``window``: see ``average_windows``.
    """

    def __init__(self, in_features: int, num_classes: int, dropout: float = 0.5, window: Window | None = None):
        super().__init__()
        self.in_features = in_features
        self.window = window
        self.dropout = nn.Dropout(dropout)
        self.reset(num_classes)

    def reset(self, num_classes: int) -> None:
        self.fc = _linear(self.in_features, num_classes)

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = self.dropout(average_windows(x, self.window).mean((2, 3, 4)))
        return x if pre_logits else self.fc(x)


def _linear(in_features: int, num_classes: int) -> nn.Module:
    """A classifier as the 3D networks start it: weights of standard deviation 0.01, no bias."""
    if num_classes == 0:
        return nn.Identity()
    fc = nn.Linear(in_features, num_classes)
    nn.init.normal_(fc.weight, std=0.01)
    nn.init.zeros_(fc.bias)
    return fc


def place_like(new: nn.Module, network: nn.Module) -> nn.Module:
    """``new`` on the device and in the precision of ``network``'s parameters."""
    parameter = next(p for p in network.parameters() if p.is_floating_point())
    return new.to(parameter.device, parameter.dtype)


class Recognizer(nn.Module):
    """Base of the recognition networks.

    A network names its stages in ``stages`` (attributes, called in that order), sets ``head`` (a module with ``fc``,
    ``reset(num_classes)`` and ``forward(x, pre_logits)``) and describes each stage's output in ``feature_info``:
    ``{"module", "num_chs", "reduction"}``, the reduction as (time, space).
    """

    stages: tuple[str, ...]
    feature_info: list[dict[str, Any]]
    head: nn.Module
    num_classes: int
    in_chans: int = 3
    min_frames: int = 1
    fixed_frames: int | None = None  # where a network takes no other number of frames
    fixed_size: int | None = None  # where it takes no other height and width
    training_only: tuple[str, ...] = ()  # beginnings of the names of parameters that ``forward`` alone does not use
    grad_checkpointing: bool = False

    def forward(self, x: Tensor) -> Tensor:
        """Normalised clips (B, C, T, H, W) -> logits (B, num_classes)."""
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x: Tensor) -> Tensor:
        """Clips (B, C, T, H, W) -> the last stage's feature map."""
        return self.forward_intermediates(x, indices=0)[0]

    def forward_map(self, x: Tensor) -> Tensor:
        """Clips (B, C, T, H, W) -> the last feature map (B, D, t, h, w), as detectors take it."""
        return self.forward_features(x)

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """The last feature map -> logits, or with ``pre_logits`` the pooled features before the classifier."""
        return self.head(x, pre_logits=pre_logits)

    def forward_intermediates(self, x: Tensor, indices: int | list[int] | None = None) -> tuple[Tensor, list[Tensor]]:
        """The last feature map and those of the stages in ``indices`` (None: all; n: the last n), in stage order."""
        self._check_input(x)
        return self._run_stages(x, indices)

    def _run_stages(self, x: Tensor, indices: int | list[int] | None) -> tuple[Tensor, list[Tensor]]:
        wanted = self.stage_indices(indices)
        maps = []
        for i, name in enumerate(self.stages):
            x = self.run_block(getattr(self, name), x)
            if i in wanted:
                maps.append(x)
        return x, maps

    def run_block(self, block: nn.Module, *inputs: Any) -> Tensor:
        """``block`` on its inputs, recomputed in the backward pass if so set."""
        if self.grad_checkpointing and self.training and torch.is_grad_enabled():
            return checkpoint(block, *inputs, use_reentrant=False)
        return block(*inputs)

    def stage_indices(self, indices: int | list[int] | None) -> list[int]:
        """``indices`` as positions in ``stages``, in order: None: all; n: the last n; negative ones from the end."""
        n = len(self.stages)
        if indices is None:
            return list(range(n))
        if isinstance(indices, int):
            if not 0 <= indices <= n:
                raise InputError(f"the last {indices} stages are not to be had: this network has {n} stages.")
            return list(range(n - indices, n))
        if any(not -n <= i < n for i in indices):
            raise InputError(f"stage indices {list(indices)} are out of range: this network has {n} stages.")
        found = sorted({i % n for i in indices})
        if len(found) < len(indices):
            raise InputError(f"stage indices {list(indices)} name a stage twice.")
        return found

    def prune_intermediate_layers(self, indices: int | list[int] | None = None) -> list[int]:
        """Drop the head and what comes after the last of the stages in ``indices``; return their positions.

        What is left has feature maps, and nothing to classify.
        """
        wanted = self.stage_indices(indices)
        if not wanted:
            raise InputError("no stages are wanted: name at least one of them.")
        self.num_classes, self.head = 0, nn.Identity()
        self._drop_stages_from(wanted[-1] + 1)
        return wanted

    def _drop_stages_from(self, position: int) -> None:
        for name in self.stages[position:]:
            delattr(self, name)
        self.stages = self.stages[:position]

    def _check_input(self, x: Tensor) -> None:
        if torch.jit.is_tracing():
            return
        if x.ndim != 5 or x.shape[1] != self.in_chans:
            raise InputError(
                f"expected clips of shape (batch, {self.in_chans}, frames, height, width), got {tuple(x.shape)}."
            )
        if x.shape[2] < self.min_frames:
            raise InputError(f"this network needs clips of at least {self.min_frames} frames, got {x.shape[2]}.")
        if self.fixed_frames and x.shape[2] != self.fixed_frames:
            raise InputError(f"this network takes clips of {self.fixed_frames} frames only, got {x.shape[2]}.")
        if self.fixed_size and set(x.shape[3:]) != {self.fixed_size}:
            height, width = x.shape[3:]
            raise InputError(
                f"this network takes frames of {self.fixed_size}x{self.fixed_size} only, got {height}x{width}."
            )

    @property
    def num_features(self) -> int:
        """Of what the classifier takes."""
        return self.head.in_features

    def get_classifier(self) -> nn.Module:
        return self.head.fc

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the classifier by a new one; 0 removes it, so that ``forward`` gives the pooled features."""
        self.num_classes = num_classes
        self.head.reset(num_classes)
        place_like(self.head.fc, self)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute each stage in the backward pass instead of keeping its activations."""
        self.grad_checkpointing = enable

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Parameter groups by depth, as timm's layer decay takes them."""
        block = [(r"^layer(\d)\.(?:\w+\.)?(\d+)\.", None)]
        stage = [(r"^(?:layer|conv)(\d)\.", (999,))]  # what follows a stage's blocks
        return {"stem": r"^stem\.", "blocks": stage if coarse else block + stage}

    def no_weight_decay(self) -> set[str]:
        """Names of parameters to keep out of weight decay (besides biases and norms)."""
        return set()


def init_convs(model: nn.Module) -> None:
    """Kaiming-normal convolutions (fan out) and unit batch norms, as all the 3D networks start."""
    for m in model.modules():
        if isinstance(m, nn.Conv3d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            if m.bias is not None:
                nn.init.zeros_(m.bias)
