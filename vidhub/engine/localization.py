"""Temporal localization from features: what training, evaluation and prediction of its networks have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..datasets.features import FeatureDataset
from ..errors import InputError
from ..metrics.segments import THUMOS14_IOUS, Labelled, detection_map, proposal_scores
from ..models.bmn import BMNOutput
from ..models.layers.localizer import PointOutput
from ..transforms.localization import bmn_labels, bsn_proposals, tem_labels
from ..weights.types import SegmentConfig
from .postprocess import Segments, bmn_proposals, point_segments, to_segments
from .segment_losses import assign_points, bmn_loss, point_loss, tem_loss


def segment_loss(model: nn.Module, batch: dict[str, Any]) -> Tensor:
    """The loss of any localization network on a batch of ``collate_features``.

    Raises:
        InputError: the network is none that learns from features and segments.
    """
    network = getattr(model, "module", model)
    features, device = batch["features"], batch["features"].device
    kind = type(network).__name__
    if kind in ("BMN", "TEM"):
        steps = features.shape[2]
        segments = [f.cpu().numpy() for f in batch["fractions"]]
        if kind == "TEM":
            ratio = network.default_data_config.boundary_ratio
            labels = np.stack([tem_labels(s, steps, ratio) for s in segments])
            return tem_loss(model(features), torch.from_numpy(labels).to(device))["loss"]
        columns = zip(*(bmn_labels(s, steps) for s in segments), strict=True)
        return bmn_loss(model(features), *(torch.from_numpy(np.stack(c)).to(device) for c in columns))["loss"]
    if not hasattr(network, "ranges"):
        raise InputError(f"{kind} does not learn from features and segments alone: pass a loss of your own.")
    output = model(features, batch["mask"])
    targets = [
        assign_points(output.points, segments.to(device), labels.to(device), network.num_classes)
        for segments, labels in zip(batch["segments"], batch["labels"], strict=True)
    ]
    classes, offsets = (torch.stack(column) for column in zip(*targets, strict=True))
    power = getattr(network, "iou_power", 0.0)
    return point_loss(output, classes, offsets, network.num_positive, iou_power=power)["loss"]


@torch.inference_mode()
def segments_of(
    model: nn.Module,
    features: Tensor,
    duration: float,
    num_frames: int | None = None,
    config: SegmentConfig | None = None,
) -> Segments:
    """The segments that a network finds in the features (C, T) of a video, in seconds, the best first.

    Args:
        duration: seconds that the features cover.
        num_frames: of the video, where features were taken of whole multiples of ``config.frame_interval`` frames.
        config: in the place of the network's own.

    Raises:
        InputError: the network gives no segments.
    """
    config = config or model.data_config
    device = next(model.parameters()).device
    output = model(features[None].to(device))
    if isinstance(output, BMNOutput):
        maps = (value[0].float().cpu().numpy().astype(np.float64) for value in output)
        return to_segments(bmn_proposals(*maps), config, duration, num_frames)
    if isinstance(output, PointOutput):
        scores = output.logits[0].float().sigmoid().cpu().numpy()
        offsets, points = output.offsets[0].float().cpu().numpy(), output.points.cpu().numpy()
        return point_segments(scores, offsets, points, config, features.shape[1], duration)
    if isinstance(output, Tensor) and output.shape[1:2] == (3,):
        rows = bsn_proposals(output[0].float().cpu().numpy().astype(np.float64))
        return to_segments(rows, config, duration, num_frames)
    raise InputError(f"{type(model).__name__} gives no segments of a video's features.")


def find_segments(model: nn.Module, data: FeatureDataset) -> list[Segments]:
    """:func:`segments_of` every video of a data set."""
    model.eval()
    return [segments_of(model, data.features(i), data.duration(i), config=data.config) for i in range(len(data))]


def score_segments(
    data: FeatureDataset, found: Sequence[Segments], thresholds: Sequence[float] = THUMOS14_IOUS
) -> dict[str, float]:
    """Metrics in percent: mAP (mean over ``thresholds``) and mAP@IoU; of networks without classes AR@n and AUC."""
    records = data.records
    if all(segments.labels is None for segments in found):
        truth = {r.video_id: r.segments for r in records}
        rows = {r.video_id: np.column_stack((s.segments, s.scores)) for r, s in zip(records, found, strict=True)}
        scores = proposal_scores(truth, rows)
        return {"auc": scores.pop("auc")} | {name: 100 * value for name, value in scores.items()}
    truth = {r.video_id: Labelled(r.segments, r.labels) for r in records}
    named = {
        r.video_id: Labelled(s.segments, [data.classes[c] for c in s.labels], s.scores)
        for r, s in zip(records, found, strict=True)
    }
    scores = detection_map(truth, named, thresholds)
    at = {f"mAP@{t:g}": 100 * float(v) for t, v in zip(thresholds, scores.map, strict=True)}
    return {"mAP": 100 * scores.average_map, **at}


def validation(data: FeatureDataset, thresholds: Sequence[float] = THUMOS14_IOUS) -> Callable:
    """``validate(model)`` of ``train``, on a data set of features."""

    def validate(model: nn.Module) -> dict[str, float]:
        return score_segments(data, find_segments(model, data), thresholds)

    return validate
