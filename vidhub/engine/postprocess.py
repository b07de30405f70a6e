"""From what localization networks rate to segments: decoding, soft-NMS, seconds. NumPy, one video at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..transforms.localization import peaks
from ..weights.types import SegmentConfig


class Segments(NamedTuple):
    """Segments of a video, the best first."""

    segments: np.ndarray  # (N, 2): start and end in seconds
    scores: np.ndarray  # (N,)
    labels: np.ndarray | None = None  # (N,): classes, of networks that know some


def soft_nms(
    proposals: np.ndarray, alpha: float, low: float, high: float, top_k: int, *, is_sorted: bool = False
) -> np.ndarray:
    """(N, 3) start, end and score -> those kept, the best first, with scores lowered: at most ``top_k`` + 1.

    Again and again the best is taken, and all whose IoU with it exceeds ``low`` + (``high`` - ``low``) times its
    length get their score times exp(-IoU^2 / ``alpha``). Bodla et al., https://arxiv.org/abs/1704.04503.
    """
    rows = np.asarray(proposals, np.float64)
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
        iou = common / (length[near] + length[i] - common)
        above = iou > low + (high - low) * length[i]
        scores[near[above]] *= np.exp(-np.square(iou[above]) / alpha)
    return kept


def nms(proposals: np.ndarray, threshold: float) -> np.ndarray:
    """(N, 3 or more) rows that begin with start, end and score -> those kept, the best first.

    Again and again the best is kept, and what overlaps it by an IoU of more than ``threshold`` left out.
    """
    rows = np.asarray(proposals)
    rows = rows[np.argsort(rows[:, 2], kind="stable")[::-1]]
    start, end, length = rows[:, 0], rows[:, 1], rows[:, 1] - rows[:, 0]
    alive, kept = np.ones(len(rows), bool), []
    for i in range(len(rows)):
        if alive[i]:
            kept.append(i)
            common = (np.minimum(end, end[i]) - np.maximum(start, start[i])).clip(min=0)
            alive &= ~(common > threshold * (length + length[i] - common))
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
    rows = np.asarray(proposals, np.float64)[:, [0, 1, -1]]
    if len(rows) > 1:
        rows = soft_nms(rows, config.soft_nms_alpha, config.soft_nms_low, config.soft_nms_high, config.top_k)
    rows = rows[np.argsort(-rows[:, 2], kind="stable")][: config.top_k]
    if num_frames:
        duration = num_frames // config.frame_interval * config.frame_interval / num_frames * duration
    return Segments(rows[:, :2].clip(0, 1) * duration, rows[:, 2])


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
