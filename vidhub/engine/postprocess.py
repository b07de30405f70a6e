"""From what localization networks rate to segments: decoding, soft-NMS, seconds. NumPy, one video at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..transforms.localization import overlap, peaks, step_times
from ..weights.types import SegmentConfig


class Segments(NamedTuple):
    """Segments of a video, the best first."""

    segments: np.ndarray  # (N, 2): start and end in seconds
    scores: np.ndarray  # (N,)
    labels: np.ndarray | None = None  # (N,): classes, of networks that know some

    def names(self, classes: Sequence[str]) -> list[str] | None:
        """Of the segments' classes; "class 17" where one has no name."""
        if self.labels is None:
            return None
        return [classes[c] if c < len(classes) else f"class {c}" for c in self.labels.tolist()]


def soft_nms(
    proposals: np.ndarray, alpha: float, low: float, high: float, top_k: int, *, is_sorted: bool = False
) -> np.ndarray:
    """Start, end and last score, (N, 3 or more) -> (K, 3) kept, the best first, with scores lowered; at most top_k + 1.

    Again and again the best is taken, and all whose IoU with it exceeds ``low`` + (``high`` - ``low``) times its
    length get their score times exp(-IoU^2 / ``alpha``). Bodla et al., https://arxiv.org/abs/1704.04503.
    """
    rows = np.asarray(proposals, np.float64)[:, [0, 1, -1]]
    if not is_sorted:
        rows = rows[np.argsort(rows[:, 2], kind="stable")[::-1]]
    start, end, scores = (np.ascontiguousarray(column) for column in rows.T)
    scores = scores.copy()
    length = end - start
    kept = np.empty((min(len(rows), top_k + 1), 3))
    for k in range(len(kept)):
        i = int(scores.argmax())
        kept[k] = start[i], end[i], scores[i]
        # only those that reach into the best one can exceed the threshold
        common = np.minimum(end, end[i])
        common -= np.maximum(start, start[i])
        scores[i] = -np.inf
        near = np.flatnonzero(common > 0)
        common = common[near]
        iou = common / (length[i] - common + end[near] - start[near])  # in this order, or other ones reach thresholds
        above = iou > low + (high - low) * length[i]
        scores[near[above]] *= np.exp(-np.square(iou[above]) / alpha)
    return kept


def nms(proposals: np.ndarray, threshold: float) -> np.ndarray:
    """(N, 3 or more) rows that begin with start, end and score -> those kept, the best first.

    Again and again the best is kept, and what overlaps it by an IoU of more than ``threshold`` left out. Of equal
    scores the last comes first; of rows without any length one is kept.
    """
    rows = np.asarray(proposals)
    rows = rows[np.argsort(rows[:, 2], kind="stable")[::-1]]
    start, end, length = rows[:, 0], rows[:, 1], rows[:, 1] - rows[:, 0]
    alive, kept = np.ones(len(rows), bool), []
    for i in range(len(rows)):
        if alive[i]:
            kept.append(i)
            common = (np.minimum(end, end[i]) - np.maximum(start, start[i])).clip(min=0)
            union = length - common + end[i] - start[i]
            alive &= np.divide(common, union, out=np.full(len(rows), np.inf), where=union > 0) <= threshold
    return rows[kept]


def to_segments(
    proposals: np.ndarray,
    config: SegmentConfig,
    duration: float,
    num_frames: int | None = None,
) -> Segments:
    """Rated proposals, (N, 3 or more) with start and end as fractions first and the score last, in seconds.

    Soft-NMS, then the ``config.top_k`` best. With ``num_frames`` a fraction is of the frames that features were taken
    from: whole multiples of ``config.frame_interval``.
    """
    if not np.size(proposals):
        return Segments(np.zeros((0, 2)), np.zeros(0))
    rows = np.asarray(proposals, np.float64)[:, [0, 1, -1]]
    if len(rows) > 1:
        rows = soft_nms(rows, config.soft_nms_alpha, config.soft_nms_low, config.soft_nms_high, config.top_k)
    rows = rows[np.argsort(rows[:, 2], kind="stable")[::-1]][: config.top_k]
    if num_frames:
        duration = num_frames // config.frame_interval * config.frame_interval / num_frames * duration
    return Segments(rows[:, :2].clip((0, -np.inf), (np.inf, 1)) * duration, rows[:, 2])


def bmn_proposals(confidence_map: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """BMN's maps of a video, (2, T, T), (T,) and (T,) -> proposals (N, 3): start and end as fractions, score.

    A proposal runs from a likely start to a likely end (peaks, or more than half of the largest), from the first step
    and to the last one in any case; its score is the product of both and of the two values of the map.
    """
    steps = len(start)
    starts, ends = peaks(start), peaks(end)
    starts[0] = ends[-1] = True
    duration, first = np.nonzero(np.add.outer(np.arange(1, steps), np.arange(steps)) < steps)
    last = first + duration + 1
    likely = starts[first] & ends[last]
    duration, first, last = duration[likely], first[likely], last[likely]
    score = start[first] * end[last] * confidence_map[1, duration, first] * confidence_map[0, duration, first]
    return np.stack((first / steps, last / steps, score), 1)


def vote(kept: np.ndarray, proposals: np.ndarray, threshold: float) -> np.ndarray:
    """(K, 3) ``kept`` rows with the mean boundaries of the (N, 3) ``proposals`` around each, weighted by their scores.

    Around is from an IoU of ``threshold`` on.
    """
    iou = overlap(kept[:, :2], proposals[:, :2])[0]
    weights = np.where(iou >= threshold, proposals[:, 2], 0.0)
    total = weights.sum(1, keepdims=True)
    segments = np.divide(weights @ proposals[:, :2], total, out=kept[:, :2].copy(), where=total > 0)
    return np.concatenate((segments, kept[:, 2:]), 1)


def point_segments(
    scores: np.ndarray,
    offsets: np.ndarray,
    points: np.ndarray,
    config: SegmentConfig,
    num_steps: int,
    duration: float,
    fps: float | None = None,
    *,
    max_points: int = 2000,
) -> Segments:
    """What an anchor-free network says of a video in seconds, with soft-NMS for each class on its own.

    Args:
        scores: (N, classes) probabilities.
        offsets, points: of ``PointOutput``.
        num_steps: of the features, which cover ``duration`` seconds.
        fps: of the video, where features lie ``config.feature_stride`` frames apart: see ``step_times``.
        max_points: how many of a level, the best, are looked at.
    """
    point, label = np.nonzero(scores > max(config.min_score, 1e-6))
    score = scores[point, label]
    order = np.argsort(-score, kind="stable")
    level = points[point[order], 3]
    rank = np.empty(len(order), np.int64)
    for stride in np.unique(level):
        rank[level == stride] = np.arange((level == stride).sum())
    order = order[rank < max_points]
    point, label, score = point[order], label[order], score[order].astype(np.float64)
    place, stride = points[point, 0].astype(np.float64), points[point, 3].astype(np.float64)
    before, after = (offsets[point] if offsets.ndim == 2 else offsets[point, label]).T
    rows = np.stack((place - before * stride, place + after * stride, score), 1)
    long_enough = rows[:, 1] - rows[:, 0] > 0.05
    rows, label = rows[long_enough], label[long_enough]
    found, classes = [], []
    for c in np.unique(label):
        own = rows[label == c]
        kept = soft_nms(own, config.soft_nms_alpha, config.soft_nms_low, config.soft_nms_high, config.top_k - 1)
        kept = kept[kept[:, 2] > config.min_score]
        if config.voting:
            kept = vote(kept, own, config.voting)
        found.append(kept)
        classes.append(np.full(len(kept), c))
    rows = np.concatenate(found) if found else np.zeros((0, 3))
    classes = np.concatenate(classes) if classes else np.zeros(0, np.int64)
    order = np.argsort(-rows[:, 2], kind="stable")[: config.top_k]
    first, step = step_times(num_steps, duration, config.feature_stride, config.feature_window, fps)
    seconds = (first + rows[order, :2] * step).clip(0, duration)
    return Segments(seconds, rows[order, 2], classes[order])


# ----------------------------------------------------------------------------------------------------------------- SSN


def regress(segments: np.ndarray, changes: np.ndarray) -> np.ndarray:
    """(N, 2) segments, fractions of the video, moved by (N, 2) changes of centre (in lengths) and length (log)."""
    length = segments[:, 1] - segments[:, 0]
    centre = segments.mean(1) + length * changes[:, 0]
    half = length * np.exp(changes[:, 1]) / 2
    return np.stack((centre - half, centre + half), 1).clip(0, 1)


def ssn_detections(
    fractions: np.ndarray,
    activity: np.ndarray,
    completeness: np.ndarray,
    changes: np.ndarray | None = None,
    *,
    top_k: int = 2000,
) -> dict[int, np.ndarray]:
    """SSN's scores of a video's proposals -> for each class (from 0 on) rows start, end, score, both changes.

    Args:
        fractions: (P, 2) start and end.
        activity: (P, 1 + classes) logits.
        completeness: (P, classes).
        changes: (P, classes, 2), no longer normalised; None: there are none.
        top_k: how many of all (proposal, class) are kept, the best; 0 or less: all.
    """
    shown = activity[:, 1:]
    likely = np.exp(shown - shown.max(1, keepdims=True))
    scores = likely / likely.sum(1, keepdims=True) * np.exp(completeness)
    flat = scores.ravel()
    order = np.argsort(flat, kind="stable")[-top_k if top_k > 0 else None :]  # of equal ones at the limit the last stay
    order = np.sort(order)
    order = order[np.argsort(-flat[order], kind="stable")]
    proposal, label = np.unravel_index(order, scores.shape)
    moved = np.zeros((len(order), 2)) if changes is None else changes[proposal, label]
    rows = np.concatenate((fractions[proposal], scores[proposal, label][:, None], moved), 1)
    return {int(c): rows[label == c] for c in np.unique(label)}


def ssn_segments(detections: np.ndarray, threshold: float = 0.2) -> np.ndarray:
    """Rows of one class of :func:`ssn_detections`, moved by their changes; of those that overlap the best are left."""
    moved = np.concatenate((regress(detections[:, :2], detections[:, 3:]), detections[:, 2:]), 1)
    return nms(moved, threshold)
