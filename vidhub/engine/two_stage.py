"""Localization in two stages: BSN and SSN, which make proposals first and then judge them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from ..datasets.features import FeatureDataset
from ..datasets.video_io import VideoReader
from ..models.ssn import SSN
from ..transforms.factory import create_transform
from ..transforms.localization import best_overlap, bsn_proposals, bsp_features
from ..transforms.proposals import tick_proposals
from ..weights.types import SegmentConfig
from .postprocess import Segments, ssn_detections, ssn_segments, to_segments
from .segment_losses import pem_loss


@torch.inference_mode()
def describe_proposals(tem: nn.Module, features: Tensor, max_proposals: int = 1000) -> tuple[np.ndarray, np.ndarray]:
    """BSN's first stage on the features (C, T) of a video: its best proposals (N, 5), and their descriptions (N, 32).

    Columns of the proposals: see ``transforms.localization.bsn_proposals``.
    """
    device = next(tem.parameters()).device
    scores = tem(features[None].to(device))[0].float().cpu().numpy().astype(np.float64)
    rows = bsn_proposals(scores)[:max_proposals]
    return rows, bsp_features(scores[0], rows)


@torch.inference_mode()
def bsn_segments(
    tem: nn.Module,
    pem: nn.Module,
    features: Tensor,
    duration: float,
    num_frames: int | None = None,
    config: SegmentConfig | None = None,
) -> Segments:
    """Both stages of BSN on the features (C, T) of a video: segments in seconds, the best first.

    Args:
        num_frames, config: as of ``localization.segments_of``; the configuration is that of ``pem``.
    """
    rows, described = describe_proposals(tem, features)
    device = next(pem.parameters()).device
    scores = pem(torch.from_numpy(described).to(device))[:, 0].float().cpu().numpy()
    rated = np.column_stack((rows[:, :2], scores * rows[:, 2] * rows[:, 3]))
    return to_segments(rated, config or pem.data_config, duration, num_frames)


class ProposalDataset(Dataset):
    """For BSN's second stage: of each video the first's proposals, described (N, 32), and their best IoUs (N,)."""

    def __init__(self, tem: nn.Module, data: FeatureDataset, max_proposals: int = 500):
        self.samples = []
        for i in range(len(data)):
            rows, described = describe_proposals(tem.eval(), data.features(i), max_proposals)
            iou = best_overlap(rows[:, :2], data[i].fractions)[0].astype(np.float32)
            self.samples.append((torch.from_numpy(described), torch.from_numpy(iou)))

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.samples[index]


def collate_proposals(samples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """The proposals of all videos of a batch together: (N, 32) and (N,)."""
    return tuple(torch.cat(column) for column in zip(*samples, strict=True))


def proposal_loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """``loss(model, batch)`` of ``train`` for ``bsn_pem``, on batches of :func:`collate_proposals`."""
    return pem_loss(model(batch[0]), batch[1])


@torch.inference_mode()
def ssn_predict(
    model: SSN,
    source: str | Path | VideoReader,
    fractions: np.ndarray,
    statistics: np.ndarray | None = None,
    *,
    interval: int = 6,
    threshold: float = 0.2,
    top_k: int = 2000,
    batch_size: int = 16,
) -> Segments:
    """SSN on a video and (P, 2) proposals in it, fractions of it: segments in seconds with classes from 0 on.

    Args:
        statistics: (2, 2) mean and standard deviation of the changes that the network learnt; None: it learnt them as
            they are.
        interval: frames between ticks.
        threshold: IoU from which the worse of two segments of a class goes.
        batch_size: ticks that go through the backbone at once.
    """
    reader = VideoReader(source) if isinstance(source, (str, Path)) else source
    device = next(model.parameters()).device
    transform = create_transform(model.data_config, views=1)
    try:
        duration = reader.num_frames / (reader.fps or 30.0)
        where = tick_proposals(fractions, reader.num_frames, interval=interval)
        scores = []
        for first in range(0, len(where.frames), batch_size):
            frames = reader.get_frames(where.frames[first : first + batch_size, 0].tolist())
            view = transform(frames)[0].transpose(0, 1)  # (ticks, C, H, W)
            scores.append(model.head.score_ticks(model.backbone(view.to(device))))
    finally:
        if reader is not source:
            reader.close()
    ticks, scale = (torch.from_numpy(v).to(device) for v in (where.ticks, where.scale_factors.astype(np.float32)))
    output = model.head.pool_ticks(torch.cat(scores), ticks, scale)
    activity, completeness, changes = (value.float().cpu().numpy() for value in output)
    if statistics is not None:
        changes = changes * statistics[1] + statistics[0]
    found = ssn_detections(np.asarray(fractions, np.float64), activity, completeness, changes, top_k=top_k)
    kept = {c: ssn_segments(rows, threshold) for c, rows in found.items()}
    rows = np.concatenate(list(kept.values()))
    labels = np.repeat(list(kept), [len(part) for part in kept.values()])
    order = np.argsort(-rows[:, 2], kind="stable")
    return Segments(rows[order, :2] * duration, rows[order, 2], labels[order])
