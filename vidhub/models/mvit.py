"""MViT: a vision transformer that pools its tokens, fewer and wider from stage to stage.

Fan et al., "Multiscale Vision Transformers", ICCV 2021, https://arxiv.org/abs/2104.11227: version 1.
Li et al., "MViTv2: Improved Multiscale Vision Transformers", CVPR 2022, https://arxiv.org/abs/2112.01526: version 2,
with relative positions and the pooled queries added to what attention gives.
Published on Kinetics-400 (5 clips): v1-B 16x4 78.9, 32x3 80.3; v2-S 81.1 (after MaskFeat, 10 clips: 81.8) % top-1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from timm.layers import DropPath, Mlp
from torch import Tensor, nn

from ..errors import check_choice
from ._registry import register_model
from .layers.attention import drop_path_rates, init_transformer, layer_norm
from .layers.pos_embed import Grid, grid_of, resize_positions
from .layers.tokens import TokenHead, TokenRecognizer


def pooled(grid: Grid, stride: int) -> Grid:
    """The grid after a pooling of that stride in space."""
    return grid[0], (grid[1] - 1) // stride + 1, (grid[2] - 1) // stride + 1


def pool_grid(x: Tensor, grid: Grid, pool: nn.Module) -> Tensor:
    """``pool`` on the grid's tokens, the first token left alone: (B, 1 + N, C) -> (B, 1 + n, C)."""
    first, x = x[:, :1], x[:, 1:]
    x = pool(x.transpose(1, 2).unflatten(2, grid))
    return torch.cat((first, x.flatten(2).transpose(1, 2)), 1)


def resize_table(table: Tensor, length: int) -> Tensor:
    """Embeddings of offsets along an axis, (L, C), for another range of offsets: (length, C)."""
    if len(table) == length:
        return table
    return F.interpolate(table.T[None], length, mode="linear")[0].T


def relative_embeddings(table: Tensor, queries: int, keys: int) -> Tensor:
    """Embeddings of the offsets from every query to every key along an axis: (queries, keys, C).

    The side with fewer positions takes longer steps; offsets between two entries of the table take the lower one.
    """
    table = resize_table(table, 2 * max(queries, keys) - 1)
    query_step, key_step = max(keys / queries, 1.0), max(queries / keys, 1.0)
    # in this order: where steps are not whole, rounding decides which entry it is, for the published networks too
    offset = torch.arange(queries, device=table.device)[:, None] * query_step
    offset = offset - torch.arange(keys, device=table.device) * key_step + (keys - 1) * key_step
    return table[offset.long()]


class Pool(nn.Module):
    """Depthwise convolution of a head's tokens, then layer norm, of the first token too: (B, heads, 1 + N, C)."""

    def __init__(self, dim: int, kernel: Grid, stride: int):
        super().__init__()
        padding = tuple(k // 2 for k in kernel)
        self.conv = nn.Conv3d(dim, dim, kernel, (1, stride, stride), padding, groups=dim, bias=False)
        self.norm = layer_norm(dim)

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        x = pool_grid(x.flatten(0, 1), grid, self.conv).unflatten(0, x.shape[:2])
        return self.norm(x)


class PooledAttention(nn.Module):
    """Self-attention whose queries, keys and values are pooled: tokens (B, 1 + N, in) -> (B, 1 + n, out).

    Args:
        grid: the tokens' grid, for the length of the tables of relative positions.
        strides: of the pooling of queries, and of keys and values.
        pool_queries: pool the queries at a stride of 1 also.
        relative: add to the scores the product of the query and an embedding of its offset to the key, along each axis.
        residual: add the queries to the output.
    """

    def __init__(
        self,
        in_dim: int,
        dim: int,
        num_heads: int,
        grid: Grid,
        kernel: Grid,
        strides: tuple[int, int],
        pool_queries: bool,
        relative: bool,
        residual: bool,
    ):
        super().__init__()
        self.num_heads, self.strides, self.relative, self.residual = num_heads, strides, relative, residual
        head_dim = dim // num_heads
        self.qkv = nn.Linear(in_dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.pool_q = Pool(head_dim, kernel, strides[0]) if pool_queries or strides[0] > 1 else None
        self.pool_k = Pool(head_dim, kernel, strides[1])
        self.pool_v = Pool(head_dim, kernel, strides[1])
        if relative:
            lengths = [grid[0], *(n // min(strides) for n in grid[1:])]
            tables = [nn.Parameter(torch.zeros(2 * n - 1, head_dim)) for n in lengths]
            self.rel_t, self.rel_h, self.rel_w = tables
            for table in tables:
                nn.init.trunc_normal_(table, std=0.02)

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        if self.pool_q is not None:
            q = self.pool_q(q, grid)
        k, v = self.pool_k(k, grid), self.pool_v(v, grid)
        scores = q, k, q.shape[3] ** -0.5
        if self.relative:
            scores = self.with_offsets(q, k, pooled(grid, self.strides[0]), pooled(grid, self.strides[1]))
        x = F.scaled_dot_product_attention(*scores[:2], v, scale=scores[2])
        if self.residual:
            x = x + F.pad(q[:, :, 1:], (0, 0, 1, 0))
        return self.proj(x.transpose(1, 2).flatten(2))

    def with_offsets(self, q: Tensor, k: Tensor, queries: Grid, keys: Grid) -> tuple[Tensor, Tensor, float]:
        """Queries and keys with further channels, whose product is the relative positions' part of the scores.

        For each position along an axis the query has its product with that offset's embedding, and a key has a 1 at its
        own position. So the bias, different for every query, is never held as a whole, and any kernel can take it.
        """
        along = []
        letters = ("t", "h", "w")
        inner = q[:, :, 1:].unflatten(2, queries)
        for letter, table, n, m in zip(letters, (self.rel_t, self.rel_h, self.rel_w), queries, keys, strict=True):
            embeddings = relative_embeddings(table, n, m)
            along.append(torch.einsum(f"bnthwc,{letter}kc->bnthwk", inner, embeddings.to(q.dtype)))
        bias = F.pad(torch.cat(along, 5).flatten(2, 4), (0, 0, 1, 0))  # none for the first token
        axes = torch.meshgrid(*(torch.arange(m, device=k.device) for m in keys), indexing="ij")
        ones = torch.cat([F.one_hot(axis.flatten(), m) for axis, m in zip(axes, keys, strict=True)], 1)
        ones = F.pad(ones, (0, 0, 1, 0)).to(k.dtype).expand(*k.shape[:2], -1, -1)
        return torch.cat((q * q.shape[3] ** -0.5, bias), 3), torch.cat((k, ones), 3), 1.0


class MultiscaleBlock(nn.Module):
    """Pooled attention and an MLP: tokens (B, 1 + N, in_dim) -> (B, 1 + n, dim).

    The channels change in the attention, or with ``widen_late`` in the MLP.
    """

    def __init__(
        self, in_dim: int, dim: int, num_heads: int, widen_late: bool, drop_path: float, stride: int, **attention
    ):
        super().__init__()
        inner = in_dim if widen_late else dim
        self.stride, self.widen_late = stride, widen_late
        self.norm1 = layer_norm(in_dim)
        self.attn = PooledAttention(in_dim, inner, num_heads, **attention)
        self.norm2 = layer_norm(inner)
        self.mlp = Mlp(inner, 4 * inner, dim)
        self.proj = nn.Linear(in_dim, dim) if in_dim != dim else None
        self.pool_skip = nn.MaxPool3d((1, 3, 3), (1, stride, stride), (0, 1, 1)) if stride > 1 else None
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, grid: Grid) -> Tensor:
        normed = self.norm1(x)
        skip = x if self.proj is None or self.widen_late else self.proj(normed)
        if self.pool_skip is not None:
            skip = pool_grid(skip, grid, self.pool_skip)
        x = skip + self.drop_path(self.attn(normed, grid))
        normed = self.norm2(x)
        skip = self.proj(normed) if self.proj is not None and self.widen_late else x
        return skip + self.drop_path(self.mlp(normed))


class MViT(TokenRecognizer):
    """MViT network: (B, C, T, H, W) -> (B, num_classes).

    Clips of other lengths and sizes than ``num_frames`` and ``img_size`` get resized positions.

    Args:
        num_frames: frames of a clip.
        img_size: height and width of a clip.
        dim: channels of the first stage; they and the heads double in every following one.
        depth: number of blocks.
        num_heads: of the first stage.
        downscale: blocks that begin a stage: their queries are pooled at a stride of 2.
        widen_late: double the channels in the MLP before a stage begins, instead of in its first attention.
        version: 1, with position embeddings; 2, with relative positions, all queries pooled and added to the output.
        patch_kernel, patch_stride: of the convolution that makes tokens.
        pool_kernel: of the poolings.
        kv_stride: of keys and values in the first stage; it halves in every following one.
        drop_path_rate: stochastic depth of the last block; it rises evenly from 0.
    """

    num_front = 1

    def __init__(
        self,
        num_classes: int = 400,
        in_chans: int = 3,
        dropout: float = 0.5,
        *,
        num_frames: int = 16,
        img_size: int = 224,
        dim: int = 96,
        depth: int = 16,
        num_heads: int = 1,
        downscale: Sequence[int] = (1, 3, 14),
        widen_late: bool = False,
        version: int = 2,
        patch_kernel: Grid = (3, 7, 7),
        patch_stride: Grid = (2, 4, 4),
        pool_kernel: Grid = (3, 3, 3),
        kv_stride: int = 8,
        drop_path_rate: float = 0.2,
    ):
        super().__init__()
        check_choice("version", version, (1, 2))
        self.num_classes, self.in_chans = num_classes, in_chans
        size = (num_frames, img_size, img_size)
        self.grid = grid = tuple(max(n // stride, 1) for n, stride in zip(size, patch_stride, strict=True))
        padding = tuple(k // 2 for k in patch_kernel)
        self.patch_embed = nn.Conv3d(in_chans, dim, patch_kernel, patch_stride, padding)
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim))
        if version == 1:
            self.class_embed = nn.Parameter(torch.zeros(1, 1, dim))
            self.space_embed = nn.Parameter(torch.zeros(1, grid[1] * grid[2], dim))
            self.time_embed = nn.Parameter(torch.zeros(1, grid[0], dim))
        self.version = version

        self.blocks = nn.ModuleList()
        self.feature_info = []
        reduction = patch_stride[1]
        for i, rate in enumerate(drop_path_rates(drop_path_rate, depth)):
            stride = 2 if i in downscale else 1
            if stride == 2:
                num_heads, kv_stride, reduction = 2 * num_heads, max(kv_stride // 2, 1), 2 * reduction
            out_dim = 2 * dim if (i + 1 if widen_late else i) in downscale else dim
            block = MultiscaleBlock(
                dim,
                out_dim,
                num_heads,
                widen_late,
                rate,
                stride,
                grid=grid,
                kernel=pool_kernel,
                strides=(stride, kv_stride),
                pool_queries=version == 2,
                relative=version == 2,
                residual=version == 2,
            )
            self.blocks.append(block)
            info = {"module": f"blocks.{i}", "num_chs": out_dim, "reduction": (patch_stride[0], reduction)}
            self.feature_info.append(info)
            grid, dim = (grid[0], grid[1] // stride, grid[2] // stride), out_dim
        self.stages = tuple(info["module"] for info in self.feature_info)
        self.norm = layer_norm(dim)
        self.head = TokenHead(dim, num_classes, dropout)
        init_transformer(self)
        for name, p in self.named_parameters():
            if name.endswith(("_embed", "_token")):
                nn.init.trunc_normal_(p, std=0.02)

    def embed(self, x: Tensor) -> tuple[Tensor, Grid]:
        x = self.patch_embed(x)
        grid = tuple(x.shape[2:])
        x, first = x.flatten(2).transpose(1, 2), self.class_token
        if self.version == 1:
            space = resize_positions(self.space_embed, (1, *self.grid[1:]), (1, *grid[1:]))
            time = resize_positions(self.time_embed, (self.grid[0], 1, 1), (grid[0], 1, 1))
            x = x + (time.unsqueeze(2) + space.unsqueeze(1)).flatten(1, 2)
            first = first + self.class_embed
        return torch.cat((first.expand(x.shape[0], -1, -1), x), 1), grid

    def grid_after(self, block: MultiscaleBlock, grid: Grid) -> Grid:
        return pooled(grid, block.stride)

    def adapt_state_dict(self, state: dict[str, Tensor], source: MViT | None = None) -> dict[str, Tensor]:
        """``state`` with its positions, absolute and relative, resized to this network's frames and size."""
        state, own = dict(state), self.state_dict()
        for key, value in state.items():
            if key.endswith((".rel_t", ".rel_h", ".rel_w")) and key in own:
                state[key] = resize_table(value, len(own[key]))
        if self.version == 1 and "space_embed" in state:
            space, time = (state[key].reshape(1, -1, state[key].shape[-1]) for key in ("space_embed", "time_embed"))
            state["space_embed"] = resize_positions(space, grid_of(space, (1,)), (1, *self.grid[1:]))
            state["time_embed"] = resize_positions(time, (time.shape[1], 1, 1), (self.grid[0], 1, 1))
        return state

    def no_weight_decay(self) -> set[str]:
        return {name for name, _ in self.named_parameters() if name.endswith(("_embed", "_token")) or ".rel_" in name}


@register_model
def mvit_v1_base(**kwargs) -> MViT:
    """MViT-B: (B, 3, 16, 224, 224) -> (B, num_classes)."""
    return MViT(**{"version": 1, "widen_late": True, **kwargs})


@register_model
def mvit_v1_base_image(**kwargs) -> MViT:
    """MViT-B on images, as clips of one frame: (B, 3, 1, 224, 224) -> (B, num_classes)."""
    image = {"num_frames": 1, "patch_kernel": (1, 7, 7), "patch_stride": (1, 4, 4), "pool_kernel": (1, 3, 3)}
    return MViT(**{"version": 1, "widen_late": True, "kv_stride": 4, **image, **kwargs})


@register_model
def mvit_v2_small(**kwargs) -> MViT:
    """MViTv2-S: (B, 3, 16, 224, 224) -> (B, num_classes)."""
    return MViT(**kwargs)


@register_model
def mvit_v2_base(**kwargs) -> MViT:
    """MViTv2-B: (B, 3, 32, 224, 224) -> (B, num_classes)."""
    base = {"num_frames": 32, "depth": 24, "downscale": (2, 5, 21), "drop_path_rate": 0.3}
    return MViT(**{**base, **kwargs})


@register_model
def mvit_v2_large(**kwargs) -> MViT:
    """MViTv2-L: (B, 3, 40, 312, 312) -> (B, num_classes)."""
    large = {"num_frames": 40, "img_size": 312, "dim": 144, "depth": 48, "num_heads": 2, "downscale": (2, 8, 44)}
    return MViT(**{**large, "drop_path_rate": 0.75, **kwargs})
