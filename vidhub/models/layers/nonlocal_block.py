"""Non-local block: every position of a feature map attends to all others.

Wang et al., "Non-local Neural Networks", CVPR 2018, https://arxiv.org/abs/1711.07971.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import check_choice

Mode = Literal["dot_product", "embedded_gaussian", "gaussian"]


class NonLocal(nn.Module):
    """(B, C, T, H, W) -> the same shape; keys and values are max pooled by 1x2x2.

    Args:
        mode: how two positions compare: embedded Gaussian (softmax of projected features), Gaussian (softmax of the
            features themselves), or dot product (divided by the number of positions).
        scale: divide the embedded Gaussian's exponents by the square root of their width.
    """

    def __init__(self, channels: int, mode: Mode = "embedded_gaussian", scale: bool = True):
        super().__init__()
        check_choice("non-local mode", mode, get_args(Mode))
        hidden = channels // 2
        self.mode, self.scale = mode, scale
        self.g = nn.Conv3d(channels, hidden, 1)
        self.theta = nn.Identity() if mode == "gaussian" else nn.Conv3d(channels, hidden, 1)
        self.phi = nn.Identity() if mode == "gaussian" else nn.Conv3d(channels, hidden, 1)
        self.out = nn.Conv3d(hidden, channels, 1, bias=False)
        self.bn = nn.BatchNorm3d(channels)
        nn.init.zeros_(self.bn.weight)  # starts as the identity

    def forward(self, x: Tensor) -> Tensor:
        pool = (1, 2, 2)
        query = self.theta(x).flatten(2).transpose(1, 2)  # (B, N, C')
        key = F.max_pool3d(self.phi(x), pool).flatten(2)  # (B, C', M)
        value = F.max_pool3d(self.g(x), pool).flatten(2).transpose(1, 2)  # (B, M, C')
        if self.mode == "dot_product":
            y = (query @ key / key.shape[-1]) @ value
        else:
            scale = query.shape[-1] ** -0.5 if self.scale and self.mode == "embedded_gaussian" else 1.0
            q, k, v = query[:, None], key.transpose(1, 2)[:, None], value[:, None]  # one head
            y = F.scaled_dot_product_attention(q, k, v, scale=scale).squeeze(1)
        y = y.transpose(1, 2).unflatten(2, x.shape[2:])
        return x + self.bn(self.out(y))
