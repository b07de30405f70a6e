"""Self-attention and the transformer block around it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from timm.layers import DropPath, Mlp, QuickGELU
from torch import Tensor, nn

from ...errors import check_choice
from .pos_embed import Grid

Bias = Literal["qkv", "qv"]
Gelu = Literal["exact", "tanh", "quick"]
Rotation = Callable[[Tensor, Grid], Tensor]  # turns queries and keys (B, heads, N, channels) by their positions


class Attention(nn.Module):
    """Multi-head self-attention: tokens (B, N, C) -> (B, N, C).

    ``bias``: "qkv" adds one to queries, keys and values, "qv" leaves the keys' out: in the softmax it cancels.
    ``rotate``: turns queries and keys by where they are in the grid.
    """

    def __init__(self, dim: int, num_heads: int, bias: Bias = "qkv", rotate: Rotation | None = None):
        super().__init__()
        check_choice("bias", bias, get_args(Bias))
        self.num_heads, self.rotate = num_heads, rotate
        self.qkv = nn.Linear(dim, 3 * dim, bias=bias == "qkv")
        if bias == "qv":
            self.q_bias = nn.Parameter(torch.zeros(dim))
            self.v_bias = nn.Parameter(torch.zeros(dim))
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, grid: Grid | None = None) -> Tensor:
        bias = self.qkv.bias
        if bias is None:
            bias = torch.cat((self.q_bias, torch.zeros_like(self.q_bias), self.v_bias))
        x = F.linear(x, self.qkv.weight, bias).unflatten(2, (3, self.num_heads, -1))
        q, k, v = x.permute(2, 0, 3, 1, 4)  # each (B, heads, N, channels)
        if self.rotate is not None:
            q, k = self.rotate(q, grid), self.rotate(k, grid)
        x = F.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention and an MLP, each normalised before and added to what came in: tokens (B, N, C) -> (B, N, C)."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        bias: Bias = "qkv",
        drop_path: float = 0.0,
        gelu: Gelu = "exact",
        rotate: Rotation | None = None,
        eps: float = 1e-6,
    ):
        super().__init__()
        self.norm1 = layer_norm(dim, eps)
        self.attn = Attention(dim, num_heads, bias, rotate)
        self.norm2 = layer_norm(dim, eps)
        self.mlp = mlp(dim, mlp_ratio, gelu)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, grid: Grid | None = None) -> Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x), grid))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class CrossBlock(nn.Module):
    """Queries (B, M, C) gather from tokens (B, N, C), then pass an MLP, each added to what came in: (B, M, C).

    ``lean`` leaves out the norm of the queries and the projection of what was gathered; ``dropout`` is that of the
    MLP's hidden layer.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        gelu: Gelu = "exact",
        eps: float = 1e-6,
        lean: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.num_heads = num_heads
        self.norm1 = nn.Identity() if lean else layer_norm(dim, eps)
        self.norm_tokens = layer_norm(dim, eps)
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Identity() if lean else nn.Linear(dim, dim)
        self.norm2 = layer_norm(dim, eps)
        self.mlp = mlp(dim, gelu=gelu, dropout=dropout)

    def forward(self, query: Tensor, x: Tensor) -> Tensor:
        q = self.q(self.norm1(query)).unflatten(2, (self.num_heads, -1)).transpose(1, 2)  # (B, heads, M, channels)
        k, v = self.kv(self.norm_tokens(x)).unflatten(2, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        query = query + self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return query + self.mlp(self.norm2(query))


class ChannelNorm(nn.LayerNorm):
    """Layer norm of the channels at every place: (B, C, ...) -> the same."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


def layer_norm(dim: int, eps: float = 1e-6) -> nn.LayerNorm:
    """With the epsilon that most vision transformers are trained with."""
    return nn.LayerNorm(dim, eps=eps)


def mlp(dim: int, ratio: float = 4.0, gelu: Gelu = "exact", dropout: float = 0.0) -> Mlp:
    """Two linear layers with a GELU between: as it is, in its tanh approximation, or ``x * sigmoid(1.702 x)``."""
    check_choice("gelu", gelu, get_args(Gelu))
    activation = {"exact": nn.GELU, "tanh": partial(nn.GELU, "tanh"), "quick": QuickGELU}[gelu]
    return Mlp(dim, round(dim * ratio), act_layer=activation, drop=(dropout, 0.0))


def drop_path_rates(rate: float, depth: int) -> list[float]:
    """Stochastic depth of each block, rising evenly from 0 to ``rate`` (Huang et al., ECCV 2016)."""
    return torch.linspace(0, rate, depth, device="cpu").tolist()


def init_transformer(model: nn.Module) -> None:
    """Linear layers of standard deviation 0.02 without bias, as all vision transformers start."""
    for m in model.modules():
        if isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, std=0.02)  # often truncated at 2, which is a hundred deviations off
            if m.bias is not None:
                nn.init.zeros_(m.bias)
