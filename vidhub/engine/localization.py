"""Temporal localization from features: what training, evaluation and prediction of its networks have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from ..datasets.catalog import create_dataset
from ..datasets.features import FeatureDataset, find_features, read_features, rescale
from ..datasets.records import SegmentsRecord
from ..errors import InputError
from ..metrics.segments import ACTIVITYNET_IOUS, THUMOS14_IOUS, Labelled, detection_map, proposal_scores
from ..models._factory import create_model
from ..models._index import TASK_OF
from ..models.bmn import BMNOutput
from ..models.layers.localizer import PointOutput
from ..models.ssn import SSN
from ..transforms.localization import bmn_labels, bsn_proposals, tem_labels
from ..weights.types import SegmentConfig
from . import ssn
from .extract import extract_video
from .postprocess import Segments, bmn_proposals, point_segments, to_segments
from .predict import pick_device
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


def open_features(
    data: Dataset, model: nn.Module, *, max_steps: int | None = None, training: bool = False
) -> FeatureDataset:
    """A data set of ``create_dataset`` with the features that its records name, as ``model`` takes them.

    One of features stays as it is.

    Raises:
        InputError: features or durations are missing, or there is nothing to be trained on.
    """
    if isinstance(data, FeatureDataset):
        return data
    opened = FeatureDataset(data.records, model.data_config, data.classes, max_steps=max_steps)
    opened.check(training=training)
    return opened


def is_localization(data: Dataset) -> bool:
    """Whether a data set's records are videos with segments."""
    records = getattr(data, "records", None)
    return bool(records) and isinstance(records[0], SegmentsRecord)


def thresholds_of(dataset: Any) -> tuple[float, ...]:
    """At which IoUs a data set of this name is usually scored."""
    name = str(dataset)
    if name.startswith(("activitynet", "hacs")):
        return ACTIVITYNET_IOUS
    return (0.1, 0.2, 0.3, 0.4, 0.5) if name == "salads50" else THUMOS14_IOUS


def network_arguments(name: str, data: Dataset) -> dict[str, Any]:
    """What a localization network must be told of a data set: its classes, if it knows any, and its features."""
    arch = name.split(".")[0]
    if TASK_OF.get(arch) != "localization":
        raise InputError(f"{name!r} finds no segments: choose one of {', '.join(_on_features())}.")
    if arch not in _on_features():
        raise InputError(f"{name!r} does not learn from features: choose one of {', '.join(_on_features())}.")
    paths = [find_features(record.path) for record in data.records]
    found = {"feature_dim": read_features(next(filter(os.path.exists, paths), paths[0])).shape[1]}
    return found | ({"num_classes": data.num_classes} if arch in ("actionformer", "tridet") else {})


def _on_features() -> list[str]:
    return [name for name, task in TASK_OF.items() if task == "localization" and name not in ("bsn_pem", "ssn_r50")]


def measure_localizer(
    model: nn.Module | str, dataset: str, root: str, split: str, device: str | None = None, **options: Any
) -> dict[str, float]:
    """Metrics of a network on a data set whose features are there; see :func:`score_segments`.

    SSN is measured on videos with proposals: see ``ssn.ssn_scores``.

    Raises:
        InputError: the network does not take what the data set has.
    """
    model = create_model(model, pretrained=True) if isinstance(model, str) else model
    model.to(pick_device(device, model))
    data = create_dataset(dataset, root, split, **options)
    if isinstance(model, SSN) != ssn.has_proposals(data):
        raise InputError("SSN is measured on data sets of proposals (thumos14_proposals), other networks on features.")
    if isinstance(model, SSN):
        return ssn.ssn_scores(model, data)
    data = open_features(data, model)
    if model.labels:
        data.classes = tuple(model.labels)
    return score_segments(data, find_segments(model, data), thresholds_of(dataset))


@dataclass(frozen=True)
class SegmentPrediction:
    """The segments found in one video, the best first."""

    source: str
    duration: float  # seconds
    segments: list[tuple[float, float]]  # seconds
    scores: list[float]
    labels: list[str]

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, ready for JSON."""
        return asdict(self)


def predict_segments(
    model: nn.Module | str,
    source: str | Path,
    *,
    features: nn.Module | str | None = None,
    proposals: str | Path | None = None,
    duration: float | None = None,
    topk: int = 20,
    min_score: float = 0.0,
    device: str | None = None,
    batch_size: int = 8,
) -> SegmentPrediction:
    """Find what happens when in a long video.

    Args:
        model: a localization network of ``create_model``, or its name.
        source: a video, or a file of its features (``.npy``, ``.csv``, ``.h5``).
        features: the network that takes the features, or its name; None: the one of the training features.
        proposals: of SSN, a file of them: see ``ssn.read_fractions``.
        duration: seconds, of a file of features; None: a step counts as a second.

    Raises:
        InputError: it is not known which network takes the features, or SSN is given no proposals.
    """
    model = create_model(model, pretrained=True) if isinstance(model, str) else model
    device = pick_device(device, model)
    config, source = model.to(device).data_config, str(source)
    if isinstance(model, SSN):
        if proposals is None:
            raise InputError("SSN judges proposals: give a file of them (--proposals), by another network for example.")
        fractions = ssn.read_fractions(proposals, source)
        with ssn.open_source(model, source) as reader:
            duration = ssn.seconds_of(model, reader)
            statistics = model.statistics or ssn.read_statistics(proposals)
            found = ssn.ssn_predict(model.eval(), reader, fractions, statistics, batch_size=batch_size)
        return _prediction(source, duration, found, model.labels, topk, min_score)
    if proposals is not None:
        raise InputError(f"{type(model).__name__} makes its own proposals: leave proposals out.")
    if not isinstance(config, SegmentConfig):
        raise InputError(
            f"{type(model).__name__} finds no segments: train one of {', '.join(_on_features())} and name its folder."
        )
    if source.endswith((".npy", ".csv", ".h5", ".hdf5")):
        values = read_features(source)
        duration = duration or float(len(values))
    else:
        features = features or config.feature_model
        if not features:
            raise InputError("name the network that takes the features, as the training features were: --features.")
        taker = create_model(features, pretrained=True) if isinstance(features, str) else features
        found = extract_video(taker.to(device), source, every=config.feature_every, batch_size=batch_size)
        values, duration = found.values, found.duration
    if values.shape[1] != config.feature_dim:
        made = f" of {config.feature_model} every {config.feature_every} frames" if config.feature_model else ""
        raise InputError(
            f"the network takes features of {config.feature_dim} channels{made}, not of {values.shape[1]}."
        )
    x = torch.from_numpy(values).T
    x = rescale(x, config.num_steps) if config.num_steps else x
    return _prediction(source, duration, segments_of(model, x, duration), model.labels, topk, min_score)


def _prediction(
    source: str, duration: float, found: Segments, names: Sequence[str] | None, topk: int, min_score: float
) -> SegmentPrediction:
    names = names or ()
    chosen = np.flatnonzero(found.scores >= min_score)[:topk]
    classes = found.labels[chosen].tolist() if found.labels is not None else [None] * len(chosen)
    return SegmentPrediction(
        source,
        duration,
        [tuple(row) for row in found.segments[chosen].tolist()],
        found.scores[chosen].tolist(),
        ["action" if c is None else names[c] if c < len(names) else f"class {c}" for c in classes],
    )


def validation(data: FeatureDataset, thresholds: Sequence[float] = THUMOS14_IOUS) -> Callable:
    """``validate(model)`` of ``train``, on a data set of features."""

    def validate(model: nn.Module) -> dict[str, float]:
        return score_segments(data, find_segments(model, data), thresholds)

    return validate
