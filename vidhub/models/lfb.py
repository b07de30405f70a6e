"""Long-term feature banks: what happened to everybody in the minute around a clip.

Wu et al., "Long-Term Feature Banks for Detailed Video Understanding", CVPR 2019, https://arxiv.org/abs/1812.05038.
Published with SlowOnly-R50 4x16 on AVA 2.1: maximum of the bank 22.15, non-local 24.11 mAP.

A bank is made with a detector without one: ``feature_bank`` runs its boxes' features through ``window``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError
from ..weights.types import DetectionConfig
from ._registry import register_model
from .roi_detector import RoIDetector, slowonly_trunk

CHANNELS = 2048  # of the features of SlowOnly-R50, and so of the bank


class BankPool(nn.Module):
    """Mean or maximum of the bank: box features (N, C) and bank (N, D, n, 1, 1) -> (N, D)."""

    def __init__(self, out_channels: int, maximum: bool):
        super().__init__()
        self.out_channels, self.bank_channels, self.maximum = out_channels, out_channels, maximum

    def forward(self, x: Tensor, bank: Tensor) -> Tensor:
        bank = bank.flatten(2)
        return bank.amax(2) if self.maximum else bank.mean(2)


class BankAttention(nn.Module):
    """One attention of the boxes over their banks: (N, C) and (N, n, C) -> (N, C)."""

    def __init__(self, dim: int, dropout: float):
        super().__init__()
        self.q = nn.Linear(dim, dim)
        self.k = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim)
        self.proj = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, bank: Tensor) -> Tensor:
        q, k, v = self.q(x)[:, None, None], self.k(bank)[:, None], self.v(bank)[:, None]  # one head, one query
        gathered = F.scaled_dot_product_attention(q, k, v)[:, 0, 0]
        return x + self.dropout(self.proj(F.relu(self.norm(gathered))))


class BankNonLocal(nn.Module):
    """Attentions over the bank, one after the other: box features (N, C) and bank (N, D, n, 1, 1) -> (N, dim)."""

    def __init__(self, in_channels: int, bank_channels: int, dim: int = 512, depth: int = 2, dropout: float = 0.2):
        super().__init__()
        self.out_channels, self.bank_channels = dim, bank_channels
        self.reduce = nn.Linear(in_channels, dim)
        self.reduce_bank = nn.Linear(bank_channels, dim)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(BankAttention(dim, dropout) for _ in range(depth))

    def forward(self, x: Tensor, bank: Tensor) -> Tensor:
        x = self.dropout(self.reduce(x))
        bank = self.dropout(self.reduce_bank(bank.flatten(2).transpose(1, 2)))
        for layer in self.layers:
            x = layer(x, bank)
        return x


def feature_bank(
    features: dict[int, Tensor],
    second: int,
    *,
    window: int = 60,
    per_second: int = 5,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The bank of a clip: features of the persons in the seconds around it.

    Args:
        features: of every second of the video, those of its boxes (N, C): ``forward_head(..., pre_logits=True)`` of a
            detector without a memory.
        second: of the clip.
        window: seconds, half of them before the clip.
        per_second: boxes of a second that are kept: the first, or with a ``generator`` random ones.

    Returns:
        (C, window * per_second, 1, 1), zero where nobody was seen; stack it for every box of the clip.

    Raises:
        InputError: there is no second, or the features of one are not (N, C).
    """
    shapes = {tuple(f.shape[1:]) for f in features.values()}
    if len(shapes) != 1 or len(shape := next(iter(shapes))) != 1:
        raise InputError("features must hold a tensor (N, C) for each second, and at least one.")
    (channels,) = shape
    bank = torch.zeros(window, per_second, channels)
    for i in range(window):
        found = features.get(second - window // 2 + i)
        if found is None or not len(found):
            continue
        if generator is not None:
            found = found[torch.randperm(len(found), generator=generator)]
        bank[i, : min(len(found), per_second)] = found[:per_second]
    return bank.flatten(0, 1).T[:, :, None, None]


def _lfb(memory: nn.Module, in_chans: int = 3, **kwargs) -> RoIDetector:
    model = RoIDetector(slowonly_trunk(in_chans=in_chans), memory=memory, **kwargs)
    model.default_data_config = DetectionConfig(num_frames=4, stride=16)
    return model


@register_model
def slowonly_r50_lfb_max_ava(**kwargs) -> RoIDetector:
    """SlowOnly-R50 with the maximum of a bank: (B, 3, 4, H, W), N boxes, bank (N, 2048, n, 1, 1) -> (N, classes)."""
    return _lfb(BankPool(CHANNELS, maximum=True), **kwargs)


@register_model
def slowonly_r50_lfb_avg_ava(**kwargs) -> RoIDetector:
    """SlowOnly-R50 with the mean of a bank: (B, 3, 4, H, W), N boxes, bank (N, 2048, n, 1, 1) -> (N, classes)."""
    return _lfb(BankPool(CHANNELS, maximum=False), **kwargs)


@register_model
def slowonly_r50_lfb_nl_ava(**kwargs) -> RoIDetector:
    """SlowOnly-R50 with attention to a bank: (B, 3, 4, H, W), N boxes, bank (N, 2048, n, 1, 1) -> (N, classes)."""
    return _lfb(BankNonLocal(CHANNELS, CHANNELS), **kwargs)
