"""Metrics of temporal localization, as ActivityNet and THUMOS14 are scored. All but AUC are fractions in [0, 1].

Ground truth and detections are dictionaries by video. Segments are (start, end), in any one unit.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from .classification import rankable

ACTIVITYNET_IOUS = tuple(np.linspace(0.5, 0.95, 10).tolist())
THUMOS14_IOUS = (0.3, 0.4, 0.5, 0.6, 0.7)
_ROUNDING = 1e-12  # by which an IoU may fall short of a threshold that it equals
_MAX_PAIRS = 1 << 22  # of a detection and a true segment, compared at once


class Labelled(NamedTuple):
    """The segments of one video; of detections with scores, the better the larger."""

    segments: Any  # (N, 2)
    labels: Sequence[Hashable] | None  # (N,); None: proposals of no class
    scores: Any = None  # (N,)


class AverageRecall(NamedTuple):
    """What ``average_recall`` gives."""

    recall: np.ndarray  # (thresholds, 100)
    proposals_per_video: np.ndarray  # (100,): the numbers that the recall is of
    average: np.ndarray  # (100,): mean over the thresholds
    auc: float  # percent: the area under ``average``, of the whole


class DetectionScores(NamedTuple):
    """What ``detection_map`` and ``thumos14_map`` give."""

    classes: tuple[Hashable, ...]
    thresholds: tuple[float, ...]
    ap: np.ndarray  # (thresholds, classes)

    @property
    def map(self) -> np.ndarray:
        """Mean over the classes, (thresholds,)."""
        return self.ap.mean(1)

    @property
    def average_map(self) -> float:
        """Mean over classes and thresholds."""
        return float(self.ap.mean())


def pairwise_iou(candidates: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How candidates overlap targets: (IoU, share of the candidate that lies in the target), (targets, candidates).

    Segments without any length overlap nothing but the same moment, fully.

    >>> [v.tolist() for v in pairwise_iou(np.array([[0.0, 2.0], [4.0, 5.0]]), np.array([[1.0, 4.0]]))]
    [[[0.25, 0.0]], [[0.5, 0.0]]]
    """
    candidates, targets = _segments(candidates)[None], _segments(targets)[:, None]
    common = np.minimum(candidates[..., 1], targets[..., 1]) - np.maximum(candidates[..., 0], targets[..., 0])
    common = common.clip(min=0)
    own = candidates[..., 1] - candidates[..., 0]
    union = own + (targets[..., 1] - targets[..., 0]) - common
    share = _ratio(common, np.broadcast_to(own, common.shape))
    return _ratio(common, union) + _same_moment(candidates, targets, union), share


def average_recall(
    ground_truth: Mapping[Hashable, np.ndarray],
    proposals: Mapping[Hashable, np.ndarray],
    max_proposals: float | None = None,
    thresholds: Sequence[float] = ACTIVITYNET_IOUS,
) -> AverageRecall:
    """Recall of true segments over the number of proposals a video: ActivityNet's AR@AN and its area.

    Args:
        ground_truth: (N, 2) segments of every video. A video without proposals counts as missed.
        proposals: (N, 3) start, end and score.
        max_proposals: mean number a video that is looked at; of each video the same share of its proposals. None: all.
        thresholds: on the IoU, from which a segment counts as found.

    Raises:
        InputError: there is no ground truth, or no proposals at all.
    """
    kept = {video: rankable(rows).reshape(-1, 3) for video, rows in proposals.items()}
    num_videos, total = len(ground_truth), sum(map(len, kept.values()))
    if not num_videos or not total:
        raise InputError(f"average recall needs true segments and proposals, got {num_videos} videos and {total}.")
    max_proposals = total / num_videos if max_proposals is None else max_proposals
    share = max_proposals * num_videos / total
    best, limits = [], []
    for video, segments in ground_truth.items():
        rows = kept.get(video, np.zeros((0, 3)))
        rows = rows[np.argsort(rows[:, 2], kind="stable")[::-1]]
        rows = rows[: min(int(len(rows) * share), len(rows))]
        limits.append(len(rows))
        # after the p-th proposal each segment's best overlap so far; before the first one -1
        overlap = np.full((len(_segments(segments)), len(rows) + 1), -1.0)
        overlap[:, 1:] = pairwise_iou(rows[:, :2], segments)[0]
        best.append(np.maximum.accumulate(overlap, axis=1))
    retrieved = sum(limits)
    if not retrieved:
        raise InputError(f"{max_proposals:g} proposals a video leave none of {total} for {num_videos} videos.")
    shares = np.arange(1, 101) / 100 * (max_proposals * num_videos / retrieved)
    counts = np.minimum((np.array(limits)[:, None] * shares).astype(np.int64), np.array(limits)[:, None])
    found = np.concatenate([overlap[:, count] for overlap, count in zip(best, counts, strict=True)])
    recall = np.stack([(found >= threshold).sum(0) for threshold in thresholds]) / max(len(found), 1)
    average, number = recall.mean(0), shares * (retrieved / num_videos)
    area = float(((average[1:] + average[:-1]) / 2 * np.diff(number)).sum())
    return AverageRecall(recall, number, average, 100 * area / float(number[-1]))


def proposal_scores(
    ground_truth: Mapping[Hashable, np.ndarray], proposals: Mapping[Hashable, np.ndarray]
) -> dict[str, float]:
    """ActivityNet's figures of proposals, by their names: AUC (percent) and AR@1, AR@5, AR@10, AR@100."""
    found = average_recall(ground_truth, proposals, 100)
    return {"auc": found.auc} | {f"AR@{k}": float(found.average[k - 1]) for k in (1, 5, 10, 100)}


def segment_scores(
    ground_truth: Mapping[Hashable, Labelled],
    detections: Mapping[Hashable, Labelled],
    thresholds: Sequence[float] = THUMOS14_IOUS,
) -> dict[str, float]:
    """Figures in percent by their names: mAP (mean over ``thresholds``) and mAP@IoU; of proposals AUC and AR@n.

    Raises:
        InputError: there is no true segment, there are no proposals at all, or scores are NaN.
    """
    if detections and all(found.labels is None for found in detections.values()):
        truth = {video: given.segments for video, given in ground_truth.items()}
        rows = {video: np.column_stack((_segments(d.segments), d.scores)) for video, d in detections.items()}
        scores = proposal_scores(truth, rows)
        return {"auc": scores.pop("auc")} | {name: 100 * value for name, value in scores.items()}
    scores = detection_map(ground_truth, detections, thresholds)
    at = {f"mAP@{t:g}": 100 * float(v) for t, v in zip(thresholds, scores.map, strict=True)}
    return {"mAP": 100 * scores.average_map, **at}


def detection_map(
    ground_truth: Mapping[Hashable, Labelled],
    detections: Mapping[Hashable, Labelled],
    thresholds: Sequence[float] = ACTIVITYNET_IOUS,
) -> DetectionScores:
    """Average precision of every class at every IoU, as ActivityNet computes it.

    By falling score each detection takes the true segment of its video and class with the largest overlap that is
    still free; precision is interpolated (the best at that recall or more). Detections of equal score are taken from
    the last to the first. Classes are in the order in which they first occur; detections of others count nowhere.

    Raises:
        InputError: there is no true segment.
    """
    truth, found = _flat(ground_truth, detections)
    order = np.argsort(found.scores, kind="stable")[::-1]
    found = _Flat(*(column[order] for column in found[:4]), truth.classes)
    hits = _match(truth, found, np.asarray(thresholds) - _ROUNDING)
    positives = np.bincount(truth.labels, minlength=len(truth.classes))
    ap = np.zeros((len(thresholds), len(truth.classes)))
    order = np.argsort(found.labels, kind="stable")
    bounds = np.searchsorted(found.labels[order], np.arange(len(truth.classes) + 1))
    for c, number in enumerate(positives):
        ap[:, c] = _interpolated(hits[order[bounds[c] : bounds[c + 1]]], number)
    return DetectionScores(truth.classes, tuple(map(float, thresholds)), ap)


def average_precision(
    ground_truth: Mapping[Hashable, np.ndarray],
    detections: Mapping[Hashable, np.ndarray],
    thresholds: Sequence[float] = ACTIVITYNET_IOUS,
) -> np.ndarray:
    """``detection_map`` of a single class, (thresholds,): (N, 2) segments, and (N, 3) with their scores."""
    truth = {v: Labelled(rows, [0] * len(rows)) for v, rows in ground_truth.items()}
    rows = {v: np.asarray(r, np.float64).reshape(-1, 3) for v, r in detections.items()}
    found = {v: Labelled(r[:, :2], [0] * len(r), r[:, 2]) for v, r in rows.items()}
    return detection_map(truth, found, thresholds).ap[:, 0]


def thumos14_map(
    ground_truth: Mapping[Hashable, Labelled],
    detections: Mapping[Hashable, Labelled],
    thresholds: Sequence[float] = THUMOS14_IOUS,
    ambiguous: Hashable = "Ambiguous",
) -> DetectionScores:
    """Average precision as THUMOS14's own (updated) evaluation computes it.

    Each true segment, in order, takes the free detection of its video and class that overlaps it most, whatever its
    score, if by more than the threshold. What is left over and overlaps a segment of the class ``ambiguous`` is left
    out; the rest is wrong. Precision is not interpolated: its mean over the true segments, 0 where one is missed.

    Raises:
        InputError: there is no true segment.
    """
    truth, found = _flat(ground_truth, detections, leave_out=ambiguous)
    hits = np.zeros((len(found.scores), len(thresholds)), bool)
    members = _members(found.groups)
    for group, targets in _members(truth.groups).items():
        rows = members.get(group, np.zeros(0, np.int64))
        rows = rows[np.argsort(-found.scores[rows], kind="stable")]
        overlap = pairwise_iou(found.segments[rows], truth.segments[targets])[0]
        for t, threshold in enumerate(thresholds):
            free = overlap.copy()
            for row in free if len(rows) else ():
                best = row.argmax()
                if row[best] > threshold:
                    hits[rows[best], t] = True
                    free[:, best] = 0
    excused = np.zeros(len(hits), bool)
    start = 0
    for video, given in detections.items():
        stop = start + len(given.labels)
        if video in ground_truth and stop > start:
            segments = [s for s, c in zip(*ground_truth[video][:2], strict=True) if c == ambiguous]
            excused[start:stop] = (pairwise_iou(_segments(given.segments), _segments(segments))[0] > 0).any(0)
        start = stop
    order = np.argsort(-found.scores, kind="stable")
    ap = np.zeros((len(thresholds), len(truth.classes)))
    for c, number in enumerate(np.bincount(truth.labels, minlength=len(truth.classes))):
        rows = order[found.labels[order] == c]
        for t in range(len(thresholds)):
            hit = hits[rows, t][hits[rows, t] | ~excused[rows]]
            precision = hit.cumsum() / np.arange(1, len(hit) + 1)
            ap[t, c] = precision[hit].sum() / number
    return DetectionScores(truth.classes, tuple(map(float, thresholds)), ap)


# ------------------------------------------------------------------------------------------------------------- helpers


class _Flat(NamedTuple):
    """Segments of all videos, one a row."""

    segments: np.ndarray  # (N, 2)
    labels: np.ndarray  # (N,): positions in ``classes``, -1 for others
    groups: np.ndarray  # (N,): a number for each video and class; -1 where nothing of the class is in the video
    scores: np.ndarray  # (N,)
    classes: tuple[Hashable, ...]


def _flat(ground_truth, detections, leave_out: Hashable = None) -> tuple[_Flat, _Flat]:
    """True segments and detections by rows; classes and groups are those of the former."""
    classes: dict[Hashable, int] = {}
    groups: dict[tuple[Hashable, int], int] = {}
    rows = []
    for video, given in ground_truth.items():
        for segment, label in zip(_segments(given.segments), given.labels, strict=True):
            if leave_out is None or label != leave_out:
                c = classes.setdefault(label, len(classes))
                rows.append((*segment, c, groups.setdefault((video, c), len(groups))))
    if not rows:
        raise InputError("there is no true segment to compare with.")
    table = np.array(rows, np.float64)
    names = tuple(classes)
    labels, members = (table[:, i].astype(np.int64) for i in (2, 3))
    truth = _Flat(table[:, :2], labels, members, np.ones(len(table)), names)
    segments = [_segments(given.segments) for given in detections.values()]
    labels = np.array([classes.get(c, -1) for given in detections.values() for c in given.labels], np.int64)
    scores = [rankable(given.scores).reshape(-1) for given in detections.values()]
    keys = ((v, classes.get(c, -1)) for v, given in detections.items() for c in given.labels)
    members = np.array([groups.get(key, -1) for key in keys], np.int64)
    segments, scores = (np.concatenate(v) if v else np.zeros(0) for v in (segments, scores))
    if not len(segments.reshape(-1, 2)) == len(labels) == len(scores):
        raise InputError("every detection needs a segment, a class and a score.")
    return truth, _Flat(segments.reshape(-1, 2), labels, members, scores, names)


def _match(truth: _Flat, found: _Flat, thresholds: np.ndarray) -> np.ndarray:
    """Which detections, best first, take a true segment: (detections, thresholds).

    All groups are gone through at the same time: first the best detection of each, then the second best ...
    """
    hits = np.zeros((len(found.groups), len(thresholds)), bool)
    order = np.argsort(truth.groups, kind="stable")
    counts = np.bincount(truth.groups)
    firsts = np.concatenate(([0], counts.cumsum()[:-1]))
    inside = np.flatnonzero(found.groups >= 0)
    pairs = []
    per_row = counts[found.groups[inside]]
    for part in np.array_split(inside, per_row.sum() // _MAX_PAIRS + 1):
        n = counts[found.groups[part]]
        row = np.repeat(part, n)
        within = np.arange(len(row)) - np.repeat(n.cumsum() - n, n)
        target = order[np.repeat(firsts[found.groups[part]], n) + within]
        iou = _row_iou(found.segments[row], truth.segments[target])
        keep = iou >= thresholds.min()
        pairs.append((row[keep], target[keep], iou[keep]))
    row, target, iou = (np.concatenate(column) for column in zip(*pairs, strict=True))
    if not len(row):
        return hits
    # by detection, the largest overlap first, of equal ones the last
    by = np.lexsort((-target, -iou, row))
    row, target, iou = row[by], target[by], iou[by]
    rows, first, n = np.unique(row, return_index=True, return_counts=True)
    # the position of each detection in its group, of those that reach any segment
    group = found.groups[rows]
    by_group = np.argsort(group, kind="stable")
    sizes = np.bincount(group)
    rank = np.empty(len(rows), np.int64)
    rank[by_group] = np.arange(len(rows)) - np.repeat(sizes.cumsum() - sizes, sizes)
    free = np.ones((len(truth.groups), len(thresholds)), bool)
    by_rank = np.argsort(rank, kind="stable")
    columns = np.arange(len(thresholds))
    for current in np.split(by_rank, np.flatnonzero(np.diff(rank[by_rank])) + 1):
        sizes = n[current]
        starts = sizes.cumsum() - sizes
        pair = np.repeat(first[current] - starts, sizes) + np.arange(sizes.sum())
        possible = free[target[pair]] & (iou[pair, None] >= thresholds)
        chosen = np.where(possible, pair[:, None], len(row))
        chosen = np.minimum.reduceat(chosen, starts, axis=0)
        taken = chosen < len(row)
        hits[rows[current]] = taken
        free[target[chosen[taken]], np.broadcast_to(columns, taken.shape)[taken]] = False
    return hits


def _interpolated(hits: np.ndarray, positives: int) -> np.ndarray:
    """Area under the interpolated precision of (detections, thresholds) hits, best first."""
    if not len(hits):
        return np.zeros(hits.shape[1])
    right = hits.cumsum(0)
    precision = right / np.arange(1, len(hits) + 1)[:, None]
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return (precision * hits).sum(0) / positives


def _segments(values: Any) -> np.ndarray:
    return np.asarray(values, np.float64).reshape(-1, 2)


def _row_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    common = (np.minimum(a[:, 1], b[:, 1]) - np.maximum(a[:, 0], b[:, 0])).clip(min=0)
    union = (a[:, 1] - a[:, 0]) + (b[:, 1] - b[:, 0]) - common
    return _ratio(common, union) + _same_moment(a, b, union)


def _same_moment(a: np.ndarray, b: np.ndarray, union: np.ndarray) -> np.ndarray:
    """1.0 for two segments that are one point of time, as some of ActivityNet's are; 0.0 for all others."""
    return ((union == 0) & (a[..., 0] == b[..., 0])).astype(np.float64)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _members(groups: np.ndarray) -> dict[int, np.ndarray]:
    """The rows of each group that is no -1."""
    order = np.argsort(groups, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    return {int(groups[part[0]]): part for part in parts if len(part) and groups[part[0]] >= 0}
