"""Where a token is: fixed and learned embeddings, their resizing, rotations of queries and keys."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import WeightsError

Grid = tuple[int, int, int]  # tokens along time, height, width


def sinusoid_table(length: int, dim: int) -> Tensor:
    """Sines and cosines of the token's number at ``dim / 2`` wavelengths, in turns: (1, length, dim).

    Vaswani et al., "Attention Is All You Need", NeurIPS 2017.

    >>> sinusoid_table(2, 4)[0, 1].tolist() == [math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)]
    True
    """
    frequency = 10000.0 ** (-torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    angle = torch.arange(length, dtype=torch.float64)[:, None] * frequency
    return torch.stack((angle.sin(), angle.cos()), -1).flatten(1)[None].float()


def resize_positions(table: Tensor, old: Grid, new: Grid) -> Tensor:
    """Embeddings (1, N, C) of the tokens of one grid for those of another: bicubic over space, linear over time.

    Tokens in front of the grid's (a class token) keep their embedding.
    """
    if old == new:
        return table
    front, x = table.split((table.shape[1] - math.prod(old), math.prod(old)), 1)
    x = x.unflatten(1, old)[0].permute(0, 3, 1, 2)  # (t, C, h, w)
    if old[1:] != new[1:]:
        x = F.interpolate(x, new[1:], mode="bicubic")
    if old[0] != new[0]:
        x = x.permute(2, 3, 1, 0).flatten(0, 1)  # (h * w, C, t)
        x = F.interpolate(x, new[0], mode="linear").unflatten(0, new[1:]).permute(3, 2, 0, 1)
    return torch.cat((front, x.permute(0, 2, 3, 1).flatten(0, 2)[None]), 1)


def grid_of(table: Tensor, times: Iterable[int], front: int = 0) -> Grid:
    """The grid of a checkpoint's embeddings (1, N, C): square, with the first of ``times`` that leaves it so.

    Raises:
        WeightsError: none does.
    """
    length = table.shape[1] - front
    for time in times:
        side = math.isqrt(length // time)
        if time * side * side == length:
            return time, side, side
    raise WeightsError(f"the checkpoint's {length} position embeddings do not belong to a square grid.")


def rotate_by_grid(x: Tensor, grid: Grid) -> Tensor:
    """Queries or keys (B, heads, t*h*w, channels) turned by time, height and width, a third of the channels each.

    As in V-JEPA 2 (https://arxiv.org/abs/2506.09985): neighbouring channels are a pair, but the frequencies run twice
    over a third's channels, so that the two of a pair are turned by different angles; what does not divide by three is
    left alone.
    """
    third = 2 * (x.shape[3] // 3 // 2)
    frequency = 10000.0 ** (-torch.arange(third // 2, device=x.device, dtype=torch.float32) / (third // 2))
    axes = torch.meshgrid(*(torch.arange(n, device=x.device) for n in grid), indexing="ij")
    angle = torch.cat([(axis.flatten()[:, None] * frequency).tile(2) for axis in axes], 1)  # (t * h * w, 3 thirds)
    turned, rest = x[..., : 3 * third], x[..., 3 * third :]
    even, odd = turned.unflatten(3, (-1, 2)).unbind(-1)
    crossed = torch.stack((-odd, even), -1).flatten(3)
    turned = turned * angle.cos().to(x.dtype) + crossed * angle.sin().to(x.dtype)
    return torch.cat((turned, rest), 3)
