"""Segments of videos as networks learn and rate them: labels of BMN and BSN, BSN's proposals and their descriptions.

Times are fractions of the video unless said otherwise; T is the number of steps into which it is divided. They are
multiples of 1 / T in the published order of arithmetic, for overlaps that are 0 but for rounding decide what is learnt.
"""

from __future__ import annotations

import numpy as np


def overlap(segments: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """IoU of (N, 2) segments with (M, 2) targets, and which share of each segment lies in each: both (N, M).

    >>> [v.tolist() for v in overlap(np.array([[0.0, 2.0]]), np.array([[1.0, 4.0], [3.0, 4.0]]))]
    [[[0.25, 0.0]], [[0.5, 0.0]]]
    """
    segments, targets = np.asarray(segments, np.float64)[:, None], np.asarray(targets, np.float64).reshape(1, -1, 2)
    common = np.minimum(segments[..., 1], targets[..., 1]) - np.maximum(segments[..., 0], targets[..., 0])
    common = common.clip(min=0)
    own = np.broadcast_to(segments[..., 1] - segments[..., 0], common.shape)
    union = own - common + targets[..., 1] - targets[..., 0]
    return tuple(np.divide(common, whole, out=np.zeros_like(common), where=whole > 0) for whole in (union, own))


def best_overlap(segments: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest of each segment's :func:`overlap` values, (N,) and (N,); 0 without targets."""
    return tuple(values.max(1, initial=0.0) for values in overlap(segments, targets))


def to_fractions(
    segments: np.ndarray,
    duration: float,
    num_frames: int | None = None,
    feature_frames: int | None = None,
    *,
    clamp: bool = True,
) -> np.ndarray:
    """Seconds as fractions of what the features cover: ``feature_frames`` of the ``num_frames`` in ``duration``.

    Without the numbers of frames the features cover all of the video.
    """
    if num_frames and feature_frames:
        duration = feature_frames / num_frames * duration
    fractions = np.asarray(segments, np.float64).reshape(-1, 2) / duration
    return fractions.clip(0, 1) if clamp else fractions


def step_times(
    steps: int, duration: float, stride: int = 0, window: int = 0, fps: float | None = None
) -> tuple[float, float]:
    """Seconds at the middle of the first of a video's features, and from each to the next.

    Args:
        steps: how many features there are.
        duration: seconds that they cover, in equal parts where ``stride`` is 0.
        stride: frames from each to the next, of features that were taken of ``window`` frames.
        fps: of the video; None: such that the windows cover the duration.

    >>> step_times(10, 20.0)
    (1.0, 2.0)
    >>> step_times(10, 20.0, stride=4, window=16, fps=25)
    (0.32, 0.16)
    """
    if not stride:
        return duration / steps / 2, duration / steps
    fps = fps or ((steps - 1) * stride + window) / duration
    return window / 2 / fps, stride / fps


# ----------------------------------------------------------------------------------------------------------------- BMN


def candidate_segments(steps: int) -> np.ndarray:
    """Every segment of BMN's map, (T, T, 2): at [d, s] that of d + 1 steps from s, even if it ends after the video."""
    start, duration = np.meshgrid(1 / steps * np.arange(steps), 1 / steps * np.arange(1, steps + 1))
    return np.stack((start, start + duration), -1)


def valid_segments(steps: int) -> np.ndarray:
    """1 where the segment of d + 1 steps from s ends inside the video, else 0: float32 (T, T) of [d, s]."""
    return (np.add.outer(np.arange(steps), np.arange(steps)) < steps).astype(np.float32)


def boundary_anchors(steps: int) -> np.ndarray:
    """The surroundings of each step in which BMN looks for a boundary, two steps wide: (T, 2)."""
    return 1 / steps * np.stack((np.arange(steps) - 0.5, np.arange(steps) + 1.5), 1)


def bmn_labels(segments: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What BMN learns from the true ``segments``, float32: confidence (T, T), start (T,), end (T,).

    The confidence at [d, s] is the best IoU of that candidate; a step's start (end) value is the share of its
    surroundings that lies within a step and a half of where a segment starts (ends).
    """
    segments = np.asarray(segments, np.float64).reshape(-1, 2)
    confidence = best_overlap(candidate_segments(steps).reshape(-1, 2), segments)[0].reshape(steps, steps)
    return confidence.astype(np.float32), *_boundary_labels(
        boundary_anchors(steps), segments, np.array(3 * (1 / steps))
    )


def _boundary_labels(anchors: np.ndarray, segments: np.ndarray, width: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The share of each anchor that lies in a region of ``width`` around a start, and around an end."""
    regions = (np.stack((times - width / 2, times + width / 2), 1) for times in segments.T)
    return tuple(best_overlap(anchors, region)[1].astype(np.float32) for region in regions)


# ----------------------------------------------------------------------------------------------------------------- BSN


def steps_of(steps: int) -> np.ndarray:
    """The steps themselves as segments, (T, 2)."""
    return 1 / steps * np.stack((np.arange(steps), np.arange(1, steps + 1)), 1)


def tem_labels(segments: np.ndarray, steps: int, boundary_ratio: float = 0.1) -> np.ndarray:
    """What BSN's temporal evaluation learns, float32 (3, T): which share of each step is action, start and end.

    Starts and ends are regions around a segment's boundaries, as wide as ``boundary_ratio`` of its length, at least a
    step.
    """
    segments = np.asarray(segments, np.float64).reshape(-1, 2)
    width = np.maximum(1 / steps, boundary_ratio * (segments[:, 1] - segments[:, 0]))
    anchors = steps_of(steps)
    action = best_overlap(anchors, segments)[1].astype(np.float32)
    return np.stack((action, *_boundary_labels(anchors, segments, width)))


def peaks(scores: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """Where (T,) scores are above both neighbours, or above ``threshold`` of the largest: bool, both ends False."""
    inner = (scores[1:-1] > scores[:-2]) & (scores[1:-1] > scores[2:]) | (scores[1:-1] > threshold * scores.max())
    return np.pad(inner, 1)[: len(scores)]  # a single step is both ends


def bsn_proposals(scores: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """BSN's proposals from (3, T) action, start and end probabilities: (N, 5), the best product first.

    Columns: start, end, start score, end score, their product. Every pair of a likely start and a later likely end is
    one; likely are peaks, and the first and last step.
    """
    steps = scores.shape[1]
    likely = [peaks(row, threshold) for row in scores[1:]]
    for row in likely:
        row[[0, -1]] = True
    start, end = np.nonzero(np.triu(likely[0][:, None] & likely[1], 1))
    start_score, end_score = scores[1, start], scores[2, end]
    times = [1 / steps / 2 + 1 / steps * index for index in (start, end)]
    rows = np.stack((*times, start_score, end_score, start_score * end_score), 1)
    return rows[np.argsort(-rows[:, 4], kind="stable")]


def bsp_features(
    action: np.ndarray,
    proposals: np.ndarray,
    *,
    boundary_ratio: float = 0.2,
    num_action: int = 16,
    num_start: int = 8,
    num_end: int = 8,
    num_interpolated: int = 3,
) -> np.ndarray:
    """BSN's description of each proposal by the (T,) action scores in and around it: float32 (N, 32).

    First ``num_action`` samples over the proposal, then ``num_start`` around its start and ``num_end`` around its end,
    as far as ``boundary_ratio`` of its length to both sides. A sample is the mean of ``num_interpolated`` + 1 linear
    interpolations; outside of the video the scores are 0.
    """
    steps = len(action)
    margin = int(steps / 4 + 10)
    places = (np.arange(-margin, steps + margin) + 0.5) / steps
    padded = np.pad(np.asarray(action, np.float64), margin)
    start, end = np.asarray(proposals, np.float64)[:, :2].T
    reach = boundary_ratio * (end - start)

    def block(first: np.ndarray, last: np.ndarray, count: int) -> np.ndarray:
        spacing = (last - first) / (count - 1)
        points = np.arange(count * num_interpolated + 1) / num_interpolated - 0.5
        values = np.interp(first[:, None] + spacing[:, None] * points, places, padded)
        # neighbouring samples share a point
        windows = np.lib.stride_tricks.sliding_window_view(values, num_interpolated + 1, axis=1)
        return windows[:, ::num_interpolated].mean(-1)

    blocks = (
        block(start, end, num_action),
        block(start - reach, start + reach, num_start),
        block(end - reach, end + reach, num_end),
    )
    return np.concatenate(blocks, 1).astype(np.float32)
