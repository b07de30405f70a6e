"""Localization in two stages: BSN, which makes proposals first and then judges them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from ..datasets.features import FeatureDataset
from ..errors import InputError, UnknownNameError, WeightsError, in_one_line
from ..models._factory import create_model
from ..models.bsn import TEM
from ..transforms.localization import best_overlap, bsn_proposals, bsp_features
from ..weights.types import SegmentConfig
from .postprocess import Segments, to_segments
from .segment_losses import pem_loss


def open_tem(pem: nn.Module) -> nn.Module:
    """The ``bsn_tem`` whose proposals a ``bsn_pem`` judges, on the same device.

    Raises:
        InputError: it is not known, is another network, or is not there any more.
    """
    name = pem.data_config.proposal_model
    if not name:
        raise InputError("bsn_pem judges the proposals of a trained bsn_tem: name it (segments.proposal_model=...).")
    try:
        tem = create_model(name, pretrained=True)
    except (WeightsError, UnknownNameError) as error:
        raise InputError(
            f"the network that makes the proposals, {name!r}, cannot be had ({in_one_line(error).rstrip('.')}): put it "
            "there again, or its new name into proposal_model of the saved config.json."
        ) from error
    if not isinstance(tem, TEM):
        raise InputError(f"{name!r} makes no proposals: it is no bsn_tem.")
    return tem.to(next(pem.parameters()).device)


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
