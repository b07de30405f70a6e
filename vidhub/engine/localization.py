"""Temporal localization from features: what training, evaluation and prediction of its networks have in common."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from .._files import write_whole
from ..datasets.annotation_files import read_json
from ..datasets.catalog import create_dataset, dataset_info
from ..datasets.features import (
    FeatureDataset,
    find_features,
    is_feature_file,
    num_channels,
    read_features,
    rescale,
    stored_duration,
)
from ..datasets.records import SegmentsRecord
from ..errors import InputError, UnknownNameError, WeightsError, in_one_line
from ..metrics.segments import ACTIVITYNET_IOUS, THUMOS14_IOUS, Labelled, segment_scores
from ..models._factory import create_model
from ..models._index import TASK_OF
from ..models.bmn import BMNOutput
from ..models.bsn import PEM
from ..models.layers.localizer import PointOutput
from ..models.ssn import SSN
from ..transforms.localization import bmn_labels, bsn_proposals, tem_labels
from ..weights.files import weights_digest
from ..weights.types import SegmentConfig
from . import ssn
from .extract import extract_video
from .postprocess import Segments, bmn_proposals, point_segments, to_segments
from .predict import check_arguments, check_counts, checked_batch_size, pick_device
from .processes import gather_scores, join_processes, share_of
from .recipe import read_recipe
from .segment_losses import assign_points, bmn_loss, point_loss, tem_loss
from .two_stage import bsn_segments, open_tem, proposal_loss


def segment_loss(model: nn.Module, batch: Any) -> Tensor:
    """The loss of any localization network on a batch of ``collate_features``, of ``bsn_pem`` of ``collate_proposals``.

    Raises:
        InputError: the network is none that learns from features and segments.
    """
    network = getattr(model, "module", model)
    if isinstance(network, PEM):
        return proposal_loss(model, batch)
    features, device = batch["features"], batch["features"].device
    kind = type(network).__name__
    if kind in ("BMN", "TEM"):
        segments = [f.cpu().numpy() for f in batch["fractions"]]
        if kind == "TEM":
            ratio, lengths = network.data_config.boundary_ratio, batch["mask"].sum(1).tolist()
            labels = [tem_labels(s, steps, ratio) for s, steps in zip(segments, lengths, strict=True)]
            # one after the other, as videos may have different numbers of steps
            scores = [model(x[None, :, :steps]) for x, steps in zip(features, lengths, strict=True)]
            labels = torch.from_numpy(np.concatenate(labels, 1)[None]).to(device)
            return tem_loss(torch.cat(scores, 2), labels)["loss"]
        columns = zip(*(bmn_labels(s, features.shape[2]) for s in segments), strict=True)
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
    *,
    fps: float | None = None,
    tem: nn.Module | None = None,
) -> Segments:
    """The segments that a network finds in the features (C, T) of a video, in seconds, the best first.

    Args:
        duration: seconds that the features cover.
        num_frames: of the video, where features were taken of whole multiples of ``config.frame_interval`` frames.
        config: in the place of the network's own.
        fps: of the video, where features lie ``config.feature_stride`` frames apart; None: see ``step_times``.
        tem: of ``bsn_pem``, the network whose proposals it judges; None: see ``open_tem``.

    Raises:
        InputError: the network gives no segments.
    """
    config = config or model.data_config
    if isinstance(model, PEM):
        return bsn_segments(tem or open_tem(model), model, features, duration, num_frames, config)
    device = next(model.parameters()).device
    output = model(features[None].to(device))
    if isinstance(output, BMNOutput):
        maps = (value[0].float().cpu().numpy().astype(np.float64) for value in output)
        return to_segments(bmn_proposals(*maps), config, duration, num_frames)
    if isinstance(output, PointOutput):
        scores = output.logits[0].float().sigmoid().cpu().numpy()
        offsets, points = output.offsets[0].float().cpu().numpy(), output.points.cpu().numpy()
        return point_segments(scores, offsets, points, config, features.shape[1], duration, fps)
    if isinstance(output, Tensor) and output.shape[1:2] == (3,):
        rows = bsn_proposals(output[0].float().cpu().numpy().astype(np.float64))
        return to_segments(rows, config, duration, num_frames)
    raise InputError(f"{type(model).__name__} gives no segments of a video's features.")


def find_segments(model: nn.Module, data: FeatureDataset, indices: Iterable[int] | None = None) -> list[Segments]:
    """:func:`segments_of` every video of a data set, or of those at ``indices``."""
    model.eval()
    tem, config = (open_tem(model), model.data_config) if isinstance(model, PEM) else (None, data.config)
    return [
        segments_of(model, data.features(i), data.duration(i), config=config, fps=data.records[i].fps, tem=tem)
        for i in (range(len(data)) if indices is None else indices)
    ]


def compare_segments(data: FeatureDataset, found: Mapping[int, Segments]) -> dict[int, tuple[str, Labelled, Labelled]]:
    """What is true and what was found in videos of a data set, with names of classes: {index: (video, true, found)}."""
    compared = {}
    for index, segments in found.items():
        record = data.records[index]
        named = Labelled(segments.segments, segments.names(data.classes), segments.scores)
        compared[index] = record.video_id, Labelled(record.segments, record.labels), named
    return compared


def score_segments(
    data: FeatureDataset, found: Sequence[Segments], thresholds: Sequence[float] = THUMOS14_IOUS
) -> dict[str, float]:
    """Metrics in percent: mAP (mean over ``thresholds``) and mAP@IoU; of networks without classes AUC and AR@n."""
    return _scores(compare_segments(data, dict(enumerate(found))), thresholds)


def _scores(compared: dict[int, tuple[str, Labelled, Labelled]], thresholds: Sequence[float]) -> dict[str, float]:
    rows = [compared[index] for index in sorted(compared)]
    truth, found = ({video: pair[i] for video, *pair in rows} for i in range(2))
    return segment_scores(truth, found, thresholds)


def open_features(data: Dataset, model: nn.Module, *, training: bool = False, **options: Any) -> FeatureDataset:
    """A data set of ``create_dataset`` with the features that its records name, as ``model`` takes them.

    One of features stays as it is.

    Args:
        options: of ``FeatureDataset``.

    Raises:
        InputError: features or durations are missing or do not fit, or there is nothing to be learnt or found.
    """
    if isinstance(data, FeatureDataset):
        return data
    opened = FeatureDataset(data.records, feature_config(model), data.classes, **options)
    opened.check(training=training)
    return opened


def feature_config(model: nn.Module) -> SegmentConfig:
    """What a network, or the one whose proposals it judges, takes of a video."""
    return open_tem(model).data_config if isinstance(model, PEM) else model.data_config


def is_localization(data: Dataset) -> bool:
    """Whether a data set's records are videos with segments."""
    records = getattr(data, "records", None)
    return bool(records) and isinstance(records[0], SegmentsRecord)


def has_segments(dataset: Dataset | str) -> bool:
    """Whether a data set, or the one of this name, is measured by what is found when in its videos."""
    if isinstance(dataset, str):
        return dataset_info(dataset).task == "localization"
    return is_localization(dataset) or ssn.has_proposals(dataset)


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
    if arch == "bsn_pem":  # which looks at proposals
        return {}
    if arch not in _on_features():
        raise InputError(f"{name!r} does not learn from features: choose one of {', '.join(_on_features())}.")
    paths = [find_features(record.path) for record in data.records]
    found = {"feature_dim": num_channels(next(filter(os.path.exists, paths), paths[0]))}
    return found | ({"num_classes": data.num_classes} if arch in ("actionformer", "tridet") else {})


def _on_features() -> list[str]:
    return [name for name, task in TASK_OF.items() if task == "localization" and name != "ssn_r50"]


def measure_localizer(
    model: nn.Module | str,
    dataset: Dataset | str,
    root: str | Path = "",
    split: str = "val",
    device: str | torch.device | None = None,
    *,
    out: str | Path | None = None,
    thresholds: Sequence[float] | None = None,
    **options: Any,
) -> dict[str, float]:
    """Metrics of a network on a data set whose features are there; see :func:`score_segments`.

    SSN is measured on videos with proposals: see ``ssn.compare_proposals``. Started by ``torchrun``, the processes
    share the videos, and all of them get the result.

    Args:
        model: of ``create_model``, or a name; or the ``detections.json`` of an earlier call, to be measured again. A
            network in the folder of a training run takes the run's options of the data set, such as the fold.
        dataset: a name of ``vidhub data list`` with ``root`` and ``split``; or a data set.
        out: folder for ``detections.json``, in the format of ActivityNet's evaluation, and ``metrics.json``.
        thresholds: IoUs of mAP; None: those that are usual for a data set of this name, see ``thresholds_of``.
        options: of ``create_dataset``; they replace the run's.

    Raises:
        InputError: the network does not take what the data set has.
    """
    data, name = dataset, dataset if isinstance(dataset, str) else ""
    if name:
        data = create_dataset(name, root, split, **{**_options_of_run(model, name), **options})
    else:
        check_arguments(measure_localizer, options)
    if str(model).endswith(".json"):
        compared, world_size = _read_detections(model, data), 1
    else:
        rank, world_size, device = join_processes(pick_device(device, model))
        model = create_model(model, pretrained=True) if isinstance(model, str) else model
        compared = _compare(model.to(device), data, range(len(data))[rank::world_size])
    compared = gather_scores(compared, world_size)
    scores = _scores(compared, thresholds or thresholds_of(name))
    if out and int(os.environ.get("RANK", 0)) == 0:
        write_whole(Path(out) / "detections.json", _as_detections(compared))
        write_whole(Path(out) / "metrics.json", json.dumps(scores, indent=2) + "\n")
    return scores


def _compare(model: nn.Module, data: Dataset, indices: Sequence[int]) -> dict[int, tuple[str, Labelled, Labelled]]:
    if isinstance(model, SSN) != ssn.has_proposals(data):
        raise InputError("SSN is measured on data sets of proposals (thumos14_proposals), other networks on features.")
    if isinstance(model, SSN):
        return ssn.compare_proposals(model, data, indices)
    _check_localizer(model)
    data = open_features(data, model)
    if model.labels:
        data.classes = tuple(model.labels)
    return compare_segments(data, dict(zip(indices, find_segments(model, data, indices), strict=True)))


def _check_localizer(model: nn.Module) -> None:
    if not isinstance(getattr(model, "data_config", None), SegmentConfig):
        names = ", ".join(_on_features())
        raise InputError(f"{type(model).__name__} finds no segments: train one of {names} and name its folder.")


def _options_of_run(model: nn.Module | str, dataset: str) -> dict[str, Any]:
    """The options of a data set with which the run in a folder was trained; {} of other networks or data sets."""
    if not str(model).startswith("local-dir:"):
        return {}
    folder = Path(str(model).partition(":")[2]).expanduser()
    path = (folder.parent if folder.name == "last" else folder) / "recipe.yaml"
    recipe = read_recipe(path) if path.is_file() else None
    return recipe.dataset_args if recipe and recipe.dataset == dataset else {}


def _as_detections(compared: dict[int, tuple[str, Labelled, Labelled]]) -> str:
    """What was found, in the format of ActivityNet's evaluation."""
    results = {}
    for _, (video, _, found) in sorted(compared.items()):
        rows = zip(np.asarray(found.segments).tolist(), np.asarray(found.scores).tolist(), strict=True)
        results[video] = [{"segment": segment, "score": score} for segment, score in rows]
        for row, label in zip(results[video], found.labels or (), strict=bool(found.labels)):
            row["label"] = label
    content = {"version": "VERSION 1.3", "results": results, "external_data": {}}
    return json.dumps(content, ensure_ascii=False) + "\n"


def _read_detections(path: str | Path, data: Dataset) -> dict[int, tuple[str, Labelled, Labelled]]:
    """What ``_as_detections`` wrote, of the videos of a data set.

    Raises:
        InputError: the file is malformed, or of other videos, or the data set is one of proposals.
    """
    if not is_localization(data):
        raise InputError("a file of detections is measured on a data set of segments.")
    try:
        results = read_json(path)["results"]
        labelled = any("label" in row for rows in results.values() for row in rows)
        found = {
            video: Labelled(
                np.array([row["segment"] for row in rows], np.float64).reshape(-1, 2),
                [row["label"] for row in rows] if labelled else None,
                np.array([row["score"] for row in rows], np.float64),
            )
            for video, rows in results.items()
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(
            f'{path} holds no detections: expected {{"results": {{video: [{{"segment", "score", "label"}}]}}}}.'
        ) from None
    if not any(record.video_id in found for record in data.records):
        raise InputError(f"{path} has none of the {len(data)} videos, such as {data.records[0].video_id!r}.")
    nothing = Labelled(np.zeros((0, 2)), [] if labelled else None, np.zeros(0))
    return {
        i: (record.video_id, Labelled(record.segments, record.labels), found.get(record.video_id, nothing))
        for i, record in enumerate(data.records)
    }


@dataclass(frozen=True)
class SegmentPrediction:
    """The segments found in one video, the best first."""

    source: str
    duration: float  # seconds
    segments: list[tuple[float, float]]  # seconds
    scores: list[float]
    labels: list[str]

    def __str__(self) -> str:
        rows = zip(self.segments, self.scores, self.labels, strict=True)
        lines = [f"{start:9.2f} {end:9.2f}  {score:.3f}  {label}" for (start, end), score, label in rows]
        return "\n".join(lines) or "no segments"

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
    device: str | torch.device | None = None,
    batch_size: int | None = None,
) -> SegmentPrediction:
    """Find what happens when in a long video.

    Args:
        model: a localization network of ``create_model``, or its name.
        source: a video, or a file of its features (``.npy``, ``.csv``, ``.h5``).
        features: the network that takes the features, or its name; None: see :func:`feature_network`.
        proposals: of SSN, a file of them: see ``ssn.read_fractions``.
        duration: seconds, of a file of features; None: those in the file, or else a step counts as a second.

    Raises:
        InputError: it is not known which network takes the features, SSN is given no proposals, or a number is wrong.
    """
    check_counts(topk=topk)
    if duration is not None and not (duration > 0 and math.isfinite(duration)):
        raise InputError(f"duration must be a number of seconds above 0, not {duration!r}.")
    model = create_model(model, pretrained=True) if isinstance(model, str) else model
    device, source = pick_device(device, model), str(source)
    batch_size = checked_batch_size(batch_size, device)
    model.to(device).eval()
    if isinstance(model, SSN):
        if proposals is None:
            raise InputError("SSN judges proposals: give a file of them (--proposals), by another network for example.")
        fractions = ssn.read_fractions(proposals, source)
        with ssn.open_source(model, source) as reader:
            duration = ssn.seconds_of(model, reader)
            statistics = model.statistics or ssn.read_statistics(proposals)
            found = ssn.ssn_predict(model, reader, fractions, statistics, batch_size=batch_size)
        return _prediction(source, duration, found, model.labels, topk, min_score)
    if proposals is not None:
        raise InputError(f"{type(model).__name__} makes its own proposals: leave proposals out.")
    _check_localizer(model)
    tem = open_tem(model) if isinstance(model, PEM) else None
    config = (tem or model).data_config
    if is_feature_file(source):
        values = read_features(source)
        duration = duration or stored_duration(source) or float(len(values))
        fps = None
    else:
        taker = features if isinstance(features, nn.Module) else feature_network(model, features)
        found = extract_video(taker.to(device), source, every=config.feature_every, batch_size=batch_size)
        values, duration, fps = found.values, found.duration, found.num_frames / found.duration
    if values.shape[1] != config.feature_dim:
        made = f" of {config.feature_model} every {config.feature_every} frames" if config.feature_model else ""
        raise InputError(
            f"the network takes features of {config.feature_dim} channels{made}, not of {values.shape[1]}."
        )
    x = torch.from_numpy(values).T
    x = rescale(x, config.num_steps) if config.num_steps else x
    found = segments_of(model, x, duration, fps=fps, tem=tem)
    return _prediction(source, duration, found, model.labels, topk, min_score)


def feature_network(model: nn.Module, name: str | None = None) -> nn.Module:
    """The recognition network that takes the features for a localization network.

    Args:
        name: of that network; None: the one by which the training features were taken.

    Raises:
        InputError: it is not known, not there any more, or has other weights than it had then.
    """
    config = feature_config(model)
    if name:
        return create_model(name, pretrained=True)
    if not config.feature_model:
        raise InputError("name the network that takes the features, as the training features were: --features.")
    try:
        taker = create_model(config.feature_model, pretrained=True)
    except (WeightsError, UnknownNameError) as error:
        raise InputError(
            f"the network that took the training features, {config.feature_model!r}, cannot be had "
            f"({in_one_line(error).rstrip('.')}): name it where it is now (--features)."
        ) from error
    if config.feature_weights and weights_digest(taker.state_dict()) != config.feature_weights:
        raise InputError(
            f"{config.feature_model!r} has other weights now than when it took the training features: name the network "
            "that took them (--features)."
        )
    return taker


def _prediction(
    source: str, duration: float, found: Segments, names: Sequence[str] | None, topk: int, min_score: float
) -> SegmentPrediction:
    chosen = np.flatnonzero(found.scores >= min_score)[:topk]
    labels = found.names(names or ()) or ["action"] * len(found.scores)
    return SegmentPrediction(
        source,
        duration,
        [tuple(row) for row in found.segments[chosen].tolist()],
        found.scores[chosen].tolist(),
        [labels[i] for i in chosen],
    )


def validation(data: FeatureDataset, thresholds: Sequence[float] = THUMOS14_IOUS) -> Callable:
    """``validate(model)`` of ``train``, on a data set of features."""

    def validate(model: nn.Module) -> dict[str, float]:
        share, world_size = share_of(len(data))
        found = dict(zip(share, find_segments(model, data, share), strict=True))
        return _scores(gather_scores(compare_segments(data, found), world_size), thresholds)

    return validate
