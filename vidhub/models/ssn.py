"""SSN: proposals of a video judged by what they show and by whether they are whole, with better boundaries for each.

Zhao et al., "Temporal Action Detection with Structured Segment Networks", ICCV 2017,
https://arxiv.org/abs/1704.06228. Published on THUMOS14: R50 RGB 15.69 % mAP at an IoU of 0.5.

A proposal has three stages: what comes before it, itself, what comes after it. Each is divided into parts at several
levels, and the parts' features are averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..errors import InputError
from ._registry import register_model
from .layers.frames import fill_backbone, fold_frames, image_backbone
from .layers.recognizer import place_like

Levels = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]  # how many parts, at every level of each stage


class SSNOutput(NamedTuple):
    """Of P proposals."""

    activity: Tensor  # (P, 1 + classes) logits; the first is of the background
    completeness: Tensor  # (P, classes): how surely a proposal is a whole action of each class
    regression: Tensor  # (P, classes, 2): change of the centre in lengths, and log of that of the length; normalised


def part_weights(ticks: Tensor, scale_factors: Tensor, levels: Levels, num_ticks: int) -> Tensor:
    """How much each tick counts in each part of each proposal, (P, parts, num_ticks).

    A part's weights are equal and sum to 1, before and after the proposal to its scale factor. A stage without any
    tick takes the one at its beginning, and nothing where there is none.

    Args:
        ticks: (P, 4) where the stages begin, and where the last one ends.
        scale_factors: (P, 2) of the stages before and after.
    """
    position = torch.arange(num_ticks, device=ticks.device)
    weights = []
    scales = (scale_factors[:, 0], torch.ones_like(scale_factors[:, 0]), scale_factors[:, 1])
    for stage, scale in enumerate(scales):
        left = ticks[:, stage]
        length = (ticks[:, stage + 1] - left).clamp(min=1)
        for parts in levels[stage]:
            bounds = left[:, None] + torch.arange(parts + 1, device=ticks.device) * length[:, None] // parts
            inside = (position >= bounds[:, :-1, None]) & (position < bounds[:, 1:, None])
            size = inside.sum(-1, keepdim=True).clamp(min=1)
            weights.append(inside.to(scale_factors) / size * scale[:, None, None])
    return torch.cat(weights, 1)


class SSNHead(nn.Module):
    """Features of snippets to the scores of proposals.

    Args:
        segments: snippets of each stage of a training proposal.
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        levels: Sequence[Sequence[int]] = ((1,), (1,), (1,)),
        segments: tuple[int, int, int] = (2, 5, 2),
    ):
        super().__init__()
        self.num_classes, self.in_features = num_classes, in_features
        self.levels, self.segments = tuple(tuple(stage) for stage in levels), segments
        self.num_parts = sum(map(sum, self.levels))
        self.activity = nn.Linear(in_features, num_classes + 1)
        self.completeness = nn.Linear(in_features * self.num_parts, num_classes)
        self.regression = nn.Linear(in_features * self.num_parts, 2 * num_classes)
        for fc, std in ((self.activity, 0.001), (self.completeness, 0.001), (self.regression, 0.001)):
            nn.init.normal_(fc.weight, std=std)
            nn.init.zeros_(fc.bias)

    def forward(self, x: Tensor, scale_factors: Tensor) -> SSNOutput:
        """Features (P, snippets, F) of proposals cut into ``segments`` snippets."""
        activity, pyramid = self.pool(x, scale_factors)
        regression = self.regression(pyramid).unflatten(1, (self.num_classes, 2))
        return SSNOutput(self.activity(activity), self.completeness(pyramid), regression)

    def pool(self, x: Tensor, scale_factors: Tensor) -> tuple[Tensor, Tensor]:
        """What the classifiers see of (P, snippets, F): the proposals' own mean (P, F), all parts (P, parts * F).

        Each part is divided by the number of parts of its stage, so that stages of many parts count no more.
        """
        before, inside, _ = self.segments
        ticks = torch.tensor([0, before, before + inside, sum(self.segments)], device=x.device).expand(x.shape[0], 4)
        weights = part_weights(ticks, scale_factors, self.levels, x.shape[1])
        share = torch.tensor([1 / sum(s) for s in self.levels for _ in range(sum(s))]).to(x)
        pyramid = (weights.to(x) * share[:, None]) @ x
        return x[:, before : before + inside].mean(1), pyramid.flatten(1)

    def score_ticks(self, x: Tensor) -> Tensor:
        """Scores of each tick of a video, (T, F) -> (T, columns): activity, completeness and regression of each part.

        The classifiers are linear, so that scores can be averaged in the place of features.
        """
        columns = [self.activity(x)]
        for fc in (self.completeness, self.regression):
            weight = fc.weight.unflatten(1, (self.num_parts, -1)).transpose(0, 1)  # (parts, classes, F)
            columns.append((torch.einsum("tf,pcf->tpc", x, weight) + fc.bias / self.num_parts).flatten(1))
        return torch.cat(columns, 1)

    def pool_ticks(self, scores: Tensor, ticks: Tensor, scale_factors: Tensor) -> SSNOutput:
        """``score_ticks`` of a video and P proposals in it -> their scores; the parts' are added up."""
        weights = part_weights(ticks, scale_factors, self.levels, scores.shape[0]).to(scores)
        own = part_weights(ticks, torch.ones_like(scale_factors), ((), (1,), ()), scores.shape[0]).to(scores)[:, 0]
        sizes = (self.num_classes + 1, self.num_classes * self.num_parts, 2 * self.num_classes * self.num_parts)
        activity, *others = scores.split(sizes, 1)
        completeness, regression = (
            torch.einsum("knt,tnc->kc", weights, part.unflatten(1, (self.num_parts, -1))) for part in others
        )
        return SSNOutput(own @ activity, completeness, regression.unflatten(1, (self.num_classes, 2)))


class SSN(nn.Module):
    """Structured segment network on a timm backbone.

    It takes either the snippets of proposals, as in training: (P, C, 9, H, W), or views of a whole video,
    (V, C, T, H, W) with ``ticks`` that say which of its T frames belong to which proposal.

    Args:
        levels: numbers of parts at every level of each stage.
        segments: snippets of each stage of a training proposal.
        dropout: of the snippets' features.
        statistics: mean and deviation of the changes of centre and length, by which training normalises them; None:
            they are those of whichever proposals the network is measured on.
    """

    def __init__(
        self,
        num_classes: int = 20,
        in_chans: int = 3,
        dropout: float = 0.8,
        *,
        backbone: str = "resnet50",
        levels: Sequence[Sequence[int]] = ((1,), (1,), (1,)),
        segments: tuple[int, int, int] = (2, 5, 2),
        statistics: Sequence[Sequence[float]] | None = None,
    ):
        super().__init__()
        self.num_classes, self.in_chans, self.statistics = num_classes, in_chans, statistics
        self.backbone = image_backbone(backbone, in_chans)
        self.dropout = nn.Dropout(dropout)
        self.head = SSNHead(self.backbone.num_features, num_classes, levels, segments)

    def forward(self, x: Tensor, ticks: Tensor | None = None, scale_factors: Tensor | None = None) -> SSNOutput:
        """Scores of P proposals.

        Args:
            x: normalised frames: without ``ticks`` (P, C, snippets, H, W), else (V, C, T, H, W), whose views are
                averaged.
            ticks: int (P, 4), see ``transforms.proposals.tick_proposals``.
            scale_factors: (P, 2), how much of the wanted stages before and after is inside the video; None: all.
        """
        snippets = sum(self.head.segments) if ticks is None else x.shape[2] if x.ndim == 5 else 0
        if x.ndim != 5 or x.shape[1] != self.in_chans or x.shape[2] != snippets:
            wanted = f"{snippets} snippets" if ticks is None else "frames"
            raise InputError(f"expected clips of shape (batch, {self.in_chans}, {wanted}, height, width), "
                             f"got {tuple(x.shape)}.")  # fmt: skip
        proposals = (x if ticks is None else ticks).shape[0]
        scale_factors = x.new_ones(proposals, 2) if scale_factors is None else scale_factors
        features = self.dropout(self.backbone(fold_frames(x))).unflatten(0, (x.shape[0], -1))
        if ticks is None:
            return self.head(features, scale_factors)
        return self.head.pool_ticks(self.head.score_ticks(features.mean(0)), ticks, scale_factors)

    def load_image_weights(self, state: dict[str, Tensor]) -> None:
        """Fill the backbone with an image network's weights, under timm's names."""
        fill_backbone(self.backbone, state)

    def get_classifier(self) -> nn.Module:
        return self.head

    def reset_classifier(self, num_classes: int) -> None:
        """Replace the three classifiers by new ones."""
        self.num_classes = num_classes
        old = self.head
        self.head = place_like(SSNHead(old.in_features, num_classes, old.levels, old.segments), self)


@register_model
def ssn_r50(**kwargs) -> SSN:
    """SSN-R50: snippets (P, 3, 9, 224, 224) -> scores of P proposals, (P, 21), (P, 20) and (P, 20, 2)."""
    return SSN(**kwargs)
