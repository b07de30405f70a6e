"""TRN, temporal relations: ordered tuples of frames are classified, of two frames up to all of them, and summed.

Zhou et al., "Temporal Relational Reasoning in Videos", ECCV 2018, https://arxiv.org/abs/1711.08496. Published with
ResNet-50 and 8 frames (two clips, three crops): Something-Something V1 33.7, V2 51.2 % top-1.

Up to three tuples of each length are drawn at random in training. In evaluation the published implementation draws
them too, so that its outputs change from call to call; here they are always the same: for eight frames those of one
such draw (``_OF_EIGHT``, its outputs are known), else the first, the middle and the last in lexicographic order.
"""

from __future__ import annotations

from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ._registry import register_model
from .layers.frames import FrameModel

_TUPLES = 3  # of each length
# length: which of all tuples of so many out of eight frames, in lexicographic order
_OF_EIGHT = {7: (0, 1, 7), 6: (3, 14, 18), 5: (23, 35, 49), 4: (10, 34, 69), 3: (9, 17, 18), 2: (1, 11, 17)}


class ScaleClassifier(nn.Module):
    """Sums of relation features, one row a length of tuples (B, scales, hidden) -> (B, num_classes).

    Each length has a linear layer, whose bias counts once for each of the ``tuples[i]`` relations in the sum.
    """

    def __init__(self, hidden: int, num_classes: int, tuples: list[int]):
        super().__init__()
        self.in_features, self.tuples = hidden * len(tuples), tuples
        self.scales = nn.ModuleList(nn.Linear(hidden, num_classes) for _ in tuples)

    def forward(self, x: Tensor) -> Tensor:
        layers = zip(x.chunk(len(self.scales), 1), self.scales, self.tuples, strict=True)
        return sum(F.linear(sums, fc.weight, count * fc.bias) for sums, fc, count in layers)


class RelationHead(nn.Module):
    """Features of frames (B, T, C) -> (B, num_classes).

    Args:
        hidden: width of a frame's reduced features and of a relation's.
        multi_scale: relations of T, T - 1, ..., 2 frames, not of all T alone.
    """

    def __init__(
        self, in_features: int, num_classes: int, dropout: float, num_frames: int, hidden: int, multi_scale: bool
    ):
        super().__init__()
        self.hidden, self.num_frames = hidden, num_frames
        lengths = range(num_frames, 1, -1) if multi_scale else (num_frames,)
        self.in_features = hidden * len(lengths)
        self.relations = [list(combinations(range(num_frames), length)) for length in lengths]
        self.dropout = nn.Dropout(dropout)
        self.reduce = nn.Linear(in_features, hidden)
        self.relate = nn.ModuleList(nn.Linear(length * hidden, hidden) for length in lengths)
        self.reset(num_classes)

    def reset(self, num_classes: int) -> None:
        tuples = [min(_TUPLES, len(relations)) for relations in self.relations]
        self.fc = ScaleClassifier(self.hidden, num_classes, tuples) if num_classes else nn.Identity()

    def forward(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = F.relu(self.reduce(self.dropout(x)))
        sums = []
        for relations, relate in zip(self.relations, self.relate, strict=True):
            chosen = x[:, self.choose(relations)].flatten(2)  # (B, tuples, length * hidden)
            sums.append(F.relu(relate(chosen)).sum(1))
        x = torch.cat(sums, 1)
        return x if pre_logits else self.fc(x)

    def choose(self, relations: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """Up to three of the tuples of one length: random ones in training, else always the same."""
        count = len(relations)
        if count <= _TUPLES:
            return relations
        if self.training:
            chosen = torch.randperm(count, device="cpu")[:_TUPLES].tolist()
        else:
            chosen = _OF_EIGHT[len(relations[0])] if self.num_frames == 8 else (0, count // 2, count - 1)
        return [relations[i] for i in chosen]


class TRN(FrameModel):
    """TRN network: (B, C, num_frames, H, W) -> (B, num_classes). See ``RelationHead``."""

    def __init__(
        self,
        num_classes: int = 174,
        in_chans: int = 3,
        dropout: float = 0.8,
        *,
        backbone: str = "resnet50",
        num_frames: int = 8,
        hidden: int = 256,
        multi_scale: bool = True,
    ):
        super().__init__(num_classes, in_chans, backbone=backbone)
        self.fixed_frames = num_frames
        features = self.backbone.head_hidden_size
        self.head = RelationHead(features, num_classes, dropout, num_frames, hidden, multi_scale)


@register_model
def trn_r50(**kwargs) -> TRN:
    """Multi-scale TRN on ResNet-50: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return TRN(**kwargs)


@register_model
def trn_single_r50(**kwargs) -> TRN:
    """Single-scale TRN on ResNet-50: (B, 3, 8, 224, 224) -> (B, num_classes)."""
    return TRN(**{"multi_scale": False, **kwargs})
