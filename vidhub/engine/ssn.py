"""SSN from proposals and videos to segments: what its training, evaluation and prediction are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from ..datasets.annotation_files import read_json
from ..datasets.dataset import VideoDataset
from ..datasets.proposals import (
    ProposalVideo,
    read_proposals,
    target_statistics,
    training_proposals,
    usable,
)
from ..datasets.records import VideoRecord
from ..datasets.snippets import SnippetSample
from ..datasets.video_io import VideoReader
from ..errors import InputError
from ..metrics.segments import THUMOS14_IOUS, Labelled, segment_scores
from ..models.ssn import SSN
from ..transforms.factory import create_transform
from ..transforms.proposals import tick_proposals
from .postprocess import Segments, ssn_detections, ssn_segments
from .processes import gather_scores, share_of
from .segment_losses import ssn_loss


def has_proposals(data: Dataset) -> bool:
    """Whether a data set's records are videos with proposals."""
    records = getattr(data, "records", None)
    return bool(records) and isinstance(records[0], ProposalVideo)


def ssn_arguments(name: str, data: Dataset) -> dict[str, Any]:
    """What SSN must be told of a data set: its classes, and how training normalises changes of boundaries.

    Raises:
        InputError: the network is another one.
    """
    if not name.startswith("ssn"):
        raise InputError(f"{name!r} does not learn from proposals: choose ssn_r50, or a data set of segments.")
    statistics = target_statistics([training_proposals(video) for video in data.records])
    return {"num_classes": data.num_classes, "statistics": statistics.tolist()}


def snippet_loss(model: nn.Module, batch: SnippetSample) -> Tensor:
    """``loss(model, batch)`` of ``train``, on batches of ``datasets.snippets.collate_snippets``."""
    clips, scale_factors, kinds, labels, targets = batch
    output = model(clips, scale_factors=scale_factors)
    # each video has as many of each kind: those up to the first change back to a positive one
    firsts = torch.nonzero((kinds[1:] == 0) & (kinds[:-1] != 0)).flatten()
    first = kinds[: int(firsts[0]) + 1] if len(firsts) else kinds
    per_video = tuple(torch.bincount(first, minlength=3).tolist())
    return ssn_loss(output, kinds, labels, targets, per_video=per_video)["loss"]


def open_source(model: SSN, source: str | Path) -> Any:
    """A reader of a video, or of its optical flow where the network takes that."""
    return VideoDataset([VideoRecord(str(source))], create_transform(model.data_config, views=1)).open(0)


def seconds_of(model: SSN, reader: Any) -> float:
    """Of a reader's video; a frame of optical flow holds several flows."""
    return (reader.num_frames + len(model.data_config.mean) // 2 - 1) / (reader.fps or 30.0)


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
        source: a video, a folder of frame images or, for networks on optical flow, of flow images; or a reader.
        statistics: (2, 2) mean and standard deviation of the changes that the network learnt; None: the network's own,
            and where it has none it learnt them as they are.
        interval: frames between ticks.
        threshold: IoU from which the worse of two segments of a class goes.
        batch_size: ticks that go through the backbone at once.
    """
    transform = create_transform(model.data_config, views=1)
    reader = open_source(model, source) if isinstance(source, (str, Path)) else source
    statistics = model.statistics if statistics is None else statistics
    device = next(model.parameters()).device
    try:
        num_frames = reader.num_frames + transform.stack - 1
        duration = seconds_of(model, reader)
        where = tick_proposals(fractions, num_frames, interval=interval, clip_len=transform.stack)
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
        mean, deviation = np.asarray(statistics)
        changes = changes * deviation + mean
    found = ssn_detections(np.asarray(fractions, np.float64), activity, completeness, changes, top_k=top_k)
    kept = {c: ssn_segments(rows, threshold) for c, rows in found.items()}
    rows = np.concatenate([np.zeros((0, 5)), *kept.values()])
    labels = np.repeat(np.array(list(kept), np.int64), [len(part) for part in kept.values()])
    order = np.argsort(-rows[:, 2], kind="stable")
    return Segments(rows[order, :2] * duration, rows[order, 2], labels[order])


def compare_proposals(
    model: SSN, data: Dataset, indices: Iterable[int] | None = None
) -> dict[int, tuple[str, Labelled, Labelled]]:
    """What is true and what SSN finds, in seconds, in videos with proposals: {index: (video, true, found)}.

    A network that does not know the statistics of its training's changes takes those of the data set, as published.

    Args:
        indices: of the videos to look at; those without a true segment are left out. None: all.

    Raises:
        InputError: no video of the data set has a true segment.
    """
    if not usable(data.records):
        raise InputError("there is no video with a true segment to be measured on.")
    statistics = model.statistics or target_statistics([training_proposals(video) for video in data.records])
    model.eval()
    compared = {}
    for index in range(len(data)) if indices is None else indices:
        for video in usable([data.records[index]]):
            with open_source(model, video.path) as reader:
                duration = seconds_of(model, reader)
                found = ssn_predict(model, reader, video.fractions, statistics)
            rows = video.truth[:, 1:] / video.num_frames * duration
            true = Segments(rows, np.ones(len(rows)), video.truth[:, 0].astype(int) - 1)
            compared[index] = (
                video.video_id,
                *(Labelled(part.segments, part.names(data.classes), part.scores) for part in (true, found)),
            )
    return compared


def ssn_scores(model: SSN, data: Dataset, thresholds: Sequence[float] = THUMOS14_IOUS) -> dict[str, float]:
    """mAP in percent (mean over ``thresholds``) and mAP@IoU of SSN on a data set of videos with proposals.

    Processes that train together share the videos.
    """
    share, world_size = share_of(len(data))
    compared = gather_scores(compare_proposals(model, data, share), world_size)
    rows = [compared[index] for index in sorted(compared)]
    truth, found = ({video: pair[i] for video, *pair in rows} for i in range(2))
    return segment_scores(truth, found, thresholds)


def ssn_validation(data: Dataset, thresholds: Sequence[float] = THUMOS14_IOUS) -> Callable:
    """``validate(model)`` of ``train``, on a data set of videos with proposals."""

    def validate(model: nn.Module) -> dict[str, float]:
        return ssn_scores(model, data, thresholds)

    return validate


def read_fractions(path: str | Path, source: str) -> np.ndarray:
    """The proposals of a video in a file of them: fractions of it, (P, 2).

    Args:
        path: SSN's format (``.txt``), or what ``vidhub predict --task localization --json`` printed. Proposals that
            are empty or outside of the video are left out, and ends after its last frame moved there.
        source: the video; the name of its file says which of the videos in the file it is.

    Raises:
        InputError: the file is malformed, or has no proposals of this video.
    """
    name = Path(source).stem
    if str(path).endswith(".json"):
        try:
            found = {
                Path(video["source"]).stem: np.asarray(video["segments"], np.float64).reshape(-1, 2) / video["duration"]
                for video in read_json(path)
            }
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{path} is not what vidhub predict --task localization --json prints.") from None
    else:
        found = {video.video_id: video.fractions for video in read_proposals(path)}
    if name not in found or not len(found[name]):
        raise InputError(f"{path} has no proposals of {name!r}; it has those of {_some(list(found))}.")
    inside = found[name].clip(0, 1)
    inside = inside[inside[:, 1] > inside[:, 0]]
    if not len(inside):
        raise InputError(f"all {len(found[name])} proposals of {name!r} in {path} are empty or outside of the video.")
    return inside


def read_statistics(path: str | Path) -> np.ndarray | None:
    """For networks that do not know their training's: those of a list in SSN's format, (2, 2); None of others."""
    if str(path).endswith(".json"):
        return None
    return target_statistics([training_proposals(video) for video in usable(read_proposals(path))])


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") if names else "no video"
