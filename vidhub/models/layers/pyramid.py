"""What recognition networks share whose stages are patches joined, then blocks, on (B, C, T, H, W)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from .recognizer import ClassifierHead, Recognizer


class ChannelNorm(nn.LayerNorm):
    """Layer norm of the channels at every place: (B, C, T, H, W) -> the same."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 4, 1)).permute(0, 4, 1, 2, 3)


class NormHead(ClassifierHead):
    """``norm``, then average pooling, dropout, linear classifier: (B, C, T, H, W) -> (B, num_classes)."""

    def __init__(self, in_features: int, num_classes: int, dropout: float, norm: nn.Module):
        super().__init__(in_features, num_classes, dropout)
        self.norm = norm

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        return super().forward(self.norm(x), pre_logits)


class PyramidRecognizer(Recognizer):
    """Base of networks of stages ``layer1`` to ``layer4``, each with ``blocks`` after what joins patches."""

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """Parameter groups by depth, as timm's layer decay takes them."""
        blocks = [(r"^layer(\d)\.blocks\.(\d+)\.", None), (r"^layer(\d)\.", None)]
        return {"stem": r"^patch_embed\.", "blocks": blocks[1:] if coarse else blocks}
