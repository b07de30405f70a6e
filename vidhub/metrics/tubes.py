"""Persons followed through videos: linking boxes into tubes, and the video mAP of UCF101-24, JHMDB and MultiSports."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .ava import box_iou, interpolated_precision
from .classification import rankable


class Tube(NamedTuple):
    """A person doing one thing, through a part of a video."""

    video: str
    label: int
    frames: np.ndarray  # int (T,), rising
    boxes: np.ndarray  # (T, 4)
    score: float = 1.0


def tube_iou(a: Tube, b: Tube) -> float:
    """Share of frames that both have, times the mean overlap of their boxes in these; 0 in different videos."""
    if a.video != b.video:
        return 0.0
    shared, in_a, in_b = np.intersect1d(a.frames, b.frames, assume_unique=True, return_indices=True)
    if not len(shared):
        return 0.0
    spatial = box_iou(np.asarray(a.boxes, np.float64)[in_a], np.asarray(b.boxes, np.float64)[in_b]).mean()
    return float(spatial * len(shared) / (len(a.frames) + len(b.frames) - len(shared)))


def link_boxes(
    video: str,
    label: int,
    frames: np.ndarray,
    boxes: np.ndarray,
    scores: np.ndarray,
    *,
    min_iou: float = 0.2,
    max_gap: int = 5,
    per_frame: int = 10,
) -> list[Tube]:
    """Tubes of one class in one video, from the boxes of its frames.

    Frame after frame, the tubes found so far, by falling mean score, each take the likeliest free box that overlaps
    their last one; what is left begins new tubes. As in Kalogeiton et al., "Action Tubelet Detector for Spatio-Temporal
    Action Localization", ICCV 2017, https://arxiv.org/abs/1705.01861, on boxes of single frames.

    Args:
        frames: int (N,); boxes (N, 4); scores (N,).
        min_iou: least overlap of two boxes in a row.
        max_gap: frames that a tube may be without a box before it ends.
        per_frame: boxes of a frame that are looked at, the likeliest.

    Returns:
        Tubes with the mean of their boxes' scores.
    """
    scores = rankable(scores)
    tubes: list[list[int]] = []  # rows of each
    order = np.lexsort((-scores, frames))
    for rows in np.split(order, np.flatnonzero(np.diff(frames[order])) + 1) if len(order) else ():
        free = rows[:per_frame].tolist()
        live = [tube for tube in tubes if frames[rows[0]] - frames[tube[-1]] <= max_gap + 1]
        for tube in sorted(live, key=lambda tube: -scores[tube].mean()):
            near = [row for row in free if box_iou(boxes[row], boxes[tube[-1]]) >= min_iou]
            if near:
                tube.append(near[0])
                free.remove(near[0])
        tubes += [[row] for row in free]
    return [Tube(video, label, frames[tube], boxes[tube], float(scores[tube].mean())) for tube in tubes]


def video_map(detections: Sequence[Tube], truth: Sequence[Tube], *, iou: float = 0.5) -> float:
    """Mean average precision of tubes, over the classes that occur in ``truth``: UCF101-24's and JHMDB's score.

    A detection, by falling score, is right if it overlaps a ground truth of its video and class that was not found
    before by ``iou``; it takes the one it overlaps most. From 0 to 1, NaN without ground truth.
    """
    values = []
    for label in sorted({tube.label for tube in truth}):
        actual = defaultdict(list)
        for tube in truth:
            if tube.label == label:
                actual[tube.video].append(tube)
        total = sum(map(len, actual.values()))
        found = sorted((t for t in detections if t.label == label), key=lambda t: -t.score)
        right = np.zeros(len(found), dtype=bool)
        for i, tube in enumerate(found):
            free = actual[tube.video]
            overlap, j = max(((tube_iou(tube, other), -j) for j, other in enumerate(free)), default=(0.0, 0))
            if overlap >= iou:
                right[i] = True
                del free[-j]
        values.append(interpolated_precision(np.array([t.score for t in found]), right, total))
    return float(np.mean(values)) if values else float("nan")
