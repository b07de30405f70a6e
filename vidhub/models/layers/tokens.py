"""What recognition networks on tokens share: equal blocks one after the other, seen as feature maps from outside."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from .attention import layer_norm
from .pos_embed import Grid
from .recognizer import ClassifierHead, Recognizer


class TokenHead(ClassifierHead):
    """Dropout and a linear classifier on the first token, or on the tokens' normalised mean: (B, N, C) -> (B, classes).

    With ``num_classes=0`` there is no classifier and the pooled features come out.
    """

    def __init__(self, in_features: int, num_classes: int, dropout: float = 0.0, mean: bool = False):
        super().__init__(in_features, num_classes, dropout)
        self.norm = layer_norm(in_features) if mean else None

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = self.dropout(x[:, 0] if self.norm is None else self.norm(x.mean(1)))
        return x if pre_logits else self.fc(x)


class TokenRecognizer(Recognizer):
    """Base of the networks that turn a clip into tokens.

    A network has ``blocks``, ``norm``, ``head`` and ``embed(clip) -> (tokens, grid)``. A block is called with tokens
    and grid. The tokens (B, N, C) are the grid's, time first, after ``num_front`` others (a class token). Each block
    is a stage; its feature map is (B, C, t, h, w), without the tokens in front.
    """

    blocks: nn.ModuleList
    norm: nn.Module
    num_front: int = 0

    def describe_stages(self, dim: int, reduction: tuple[int, int]) -> None:
        """Every block as a stage of ``dim`` channels; ``reduction`` is that of (time, space)."""
        self.stages = tuple(f"blocks.{i}" for i in range(len(self.blocks)))
        self.feature_info = [{"module": name, "num_chs": dim, "reduction": reduction} for name in self.stages]

    def embed(self, x: Tensor) -> tuple[Tensor, Grid]:
        """Clips (B, C, T, H, W) -> tokens (B, N, C) with their positions, and the grid they come from."""
        raise NotImplementedError

    def forward_features(self, x: Tensor) -> Tensor:
        """Clips (B, C, T, H, W) -> normalised tokens (B, N, C)."""
        return self.forward_intermediates(x, indices=0)[0]

    def forward_intermediates(self, x: Tensor, indices: int | list[int] | None = None) -> tuple[Tensor, list[Tensor]]:
        """The normalised tokens and the maps of the blocks in ``indices`` (None: all; n: the last n), in order."""
        x, grid, maps = self._run(x, self.stage_indices(indices))
        return self.finish(x, grid), maps

    def forward_map(self, x: Tensor) -> Tensor:
        """Clips (B, C, T, H, W) -> the normalised tokens as a map (B, D, t, h, w), as detectors take it."""
        x, grid, _ = self._run(x, [])
        return self.to_map(self.finish(x, grid), grid)

    def _run(self, x: Tensor, wanted: list[int]) -> tuple[Tensor, Grid, list[Tensor]]:
        """The last block's tokens, their grid, and the maps of the blocks wanted."""
        self._check_input(x)
        x, grid = self.embed(x)
        maps = []
        for i, block in enumerate(self.blocks):
            x = self.run_block(block, x, grid)
            grid = self.grid_after(block, grid)
            if i in wanted:
                maps.append(self.to_map(x, grid))
        return x, grid, maps

    def _drop_stages_from(self, position: int) -> None:
        self.blocks, self.norm = self.blocks[:position], nn.Identity()
        self.stages = self.stages[:position]

    def grid_after(self, block: nn.Module, grid: Grid) -> Grid:
        """The tokens' grid after ``block``, which most networks leave as it is."""
        return grid

    def finish(self, x: Tensor, grid: Grid) -> Tensor:
        """What comes between the last block and the head."""
        return self.norm(x)

    def to_map(self, x: Tensor, grid: Grid) -> Tensor:
        """Tokens (B, N, C) -> (B, C, t, h, w)."""
        x = x[:, self.num_front :]
        return x.reshape(-1, math.prod(grid), x.shape[2]).transpose(1, 2).unflatten(2, grid)

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Parameter groups by depth, as timm's layer decay takes them."""
        last = (r"^(?:norm\.|head\.(?!fc\.))", (99999,))
        return {"stem": r"^(?:\w+_embed|class_token|norm_pre)\b", "blocks": [(r"^blocks\.(\d+)\.", None), last]}

    def no_weight_decay(self) -> set[str]:
        ends = ("pos_embed", "time_embed", "class_token", "query_token")
        return {name for name, _ in self.named_parameters() if name.endswith(ends)}
