"""Scores of boxes with actions: AVA's frame mAP."""

from __future__ import annotations

import csv
from collections.abc import Collection, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from ..errors import InputError
from .classification import rankable

# AVA's classes by their number: (first, last)
GROUPS = {"person_movement": (1, 14), "object_manipulation": (15, 63), "person_interaction": (64, 80)}
# how MMAction2 counts, and so how its scores were measured
MMACTION2 = {"frames": "annotated", "skip_undetected": True, "count_excluded": True}


class Boxes(NamedTuple):
    """Boxes of many frames, a row each."""

    frames: Sequence[Hashable]  # N keys, such as (video, second)
    boxes: np.ndarray  # (N, 4): x1, y1, x2, y2
    classes: np.ndarray  # int (N,)
    scores: np.ndarray | None = None  # (N,), of detections


class FrameScores(NamedTuple):
    """What ``frame_map`` found, from 0 to 1; NaN where there is nothing to average."""

    overall: float
    groups: dict[str, float]  # of AVA's three groups of classes
    classes: dict[int, float]  # average precision of each; NaN without ground truth


def read_boxes(path: str | Path) -> Boxes:
    """An AVA CSV file: ``video,second,x1,y1,x2,y2,class`` and, of detections, the score.

    Of ground truth the eighth column is the person, which is read as if it were a score and does no harm. Rows with
    nothing after the second are left out.

    Raises:
        InputError: a row is malformed, or its box has x1 > x2 or y1 > y2; with its line.
    """
    frames, rows = [], []
    with open(path, newline="", encoding="utf-8-sig") as file:
        for number, row in enumerate(csv.reader(file), 1):
            if not any(row[2:]):
                continue
            try:
                values = [*map(float, row[2:6]), int(row[6]), float(row[7]) if len(row) > 7 else 1.0]
                frames.append((row[0], int(float(row[1]))))
            except (ValueError, IndexError):
                raise InputError(f"{path}, line {number}: expected video,second,4 corners,class, not {row}.") from None
            if values[0] > values[2] or values[1] > values[3]:
                raise InputError(f"{path}, line {number}: the box {values[:4]} must have x1 <= x2 and y1 <= y2.")
            rows.append(values)
    table = np.array(rows, dtype=np.float64).reshape(-1, 6)
    return Boxes(frames, table[:, :4], table[:, 4].astype(np.int64), table[:, 5])


def results_csv(
    results: Iterable[tuple[str, int, Sequence[Sequence[Sequence[float]]]]], classes: Sequence[int] | None = None
) -> str:
    """Detections as AVA's CSV text, numbers with four decimals.

    Args:
        results: (video, second, boxes of the first class, of the second ...), each box x1, y1, x2, y2, score.
        classes: numbers of the classes; by default they count from 1.
    """
    lines = []
    for video, second, by_class in results:
        for position, boxes in enumerate(by_class):
            label = position + 1 if classes is None else classes[position]
            for *corners, score in boxes:
                lines.append(f"{video},{second},{','.join(f'{v:.4f}' for v in corners)},{label},{score:.4f}\n")
    return "".join(lines)


def frame_map(
    detections: Boxes,
    truth: Boxes,
    *,
    classes: Collection[int] | None = None,
    iou: float = 0.5,
    excluded: Collection[Hashable] = (),
    frames: Literal["all", "annotated", "detected"] = "all",
    skip_undetected: bool = False,
    count_excluded: bool = False,
) -> FrameScores:
    """Mean average precision of boxes in key frames, as AVA's official code computes it.

    In each frame and class, detections by falling score are right if the ground truth that they overlap most is
    overlapped by ``iou`` and was not found before. Precision is interpolated.

    Args:
        classes: those that count; None: all that occur in ``truth``.
        excluded: frames left out.
        frames: whose detections count: all, those with ground truth of any class, or those with detections (the
            latter is the same as all; MMAction2 calls it ignore_empty_frames=False).
        skip_undetected: leave a class without any detection out of the mean, instead of counting it as 0.
        count_excluded: ground truth of excluded frames still counts as missed.

        ``**MMACTION2`` counts as MMAction2 does.

    >>> truth = Boxes(["a", "a"], np.array([[0, 0, 1, 1], [0, 0, 0.5, 0.5]]), np.array([1, 2]))
    >>> found = Boxes(["a"], np.array([[0, 0, 1, 0.9]]), np.array([1]), np.array([0.8]))
    >>> frame_map(found, truth).overall
    0.5
    """
    wanted = np.unique(truth.classes if classes is None else np.fromiter(classes, np.int64, len(classes)))
    ids: dict[Hashable, int] = {}
    truth_frame = np.array([ids.setdefault(frame, len(ids)) for frame in truth.frames], dtype=np.int64)
    found_frame = np.array([ids.setdefault(frame, len(ids)) for frame in detections.frames], dtype=np.int64)
    left_out = np.array([ids[frame] for frame in excluded if frame in ids], dtype=np.int64)

    counted = np.isin(truth.classes, wanted)
    if frames == "annotated":
        evaluated = np.isin(found_frame, truth_frame[counted])
    else:
        evaluated = np.ones(len(found_frame), dtype=bool)
    evaluated &= np.isin(detections.classes, wanted) & ~np.isin(found_frame, left_out)
    usable = counted & ~np.isin(truth_frame, left_out)
    if not count_excluded:
        counted = usable

    size = int(max(wanted, default=0)) + 1
    labels, scores = detections.classes[evaluated], rankable(detections.scores)[evaluated]
    right = _matches(
        found_frame[evaluated] * size + labels,
        detections.boxes[evaluated],
        scores,
        truth_frame[usable] * size + truth.classes[usable],
        truth.boxes[usable],
        iou,
    )
    precisions = {}
    for label in wanted.tolist():
        of_class = labels == label
        if skip_undetected and not of_class.any():
            continue
        total = int((truth.classes[counted] == label).sum())
        precisions[label] = interpolated_precision(scores[of_class], right[of_class], total)
    groups = {
        name: _mean([ap for label, ap in precisions.items() if first <= label <= last])
        for name, (first, last) in GROUPS.items()
    }
    return FrameScores(_mean(list(precisions.values())), groups, precisions)


def _matches(keys, boxes, scores, truth_keys, truth_boxes, threshold) -> np.ndarray:
    """Which detections are right: bool (N,). A key stands for a frame and class; only equal ones are compared."""
    right = np.zeros(len(keys), dtype=bool)
    order = np.argsort(truth_keys, kind="stable")
    truth_keys, truth_boxes = truth_keys[order], truth_boxes[order]
    first = np.searchsorted(truth_keys, keys, "left")
    count = np.searchsorted(truth_keys, keys, "right") - first
    rows = np.flatnonzero(count)
    if not len(rows):
        return right
    # all pairs of equal key, those of a detection one after the other
    pair_row = np.repeat(rows, count[rows])
    starts = np.cumsum(count[rows]) - count[rows]
    pair_truth = np.arange(len(pair_row)) - np.repeat(starts - first[rows], count[rows])
    overlap = box_iou(boxes[pair_row], truth_boxes[pair_truth])
    best = np.maximum.reduceat(overlap, starts)
    # the first of the pairs that reach the detection's best
    position = np.where(overlap == np.repeat(best, count[rows]), np.arange(len(overlap)), len(overlap))
    chosen = pair_truth[np.minimum.reduceat(position, starts)]
    rows, chosen = rows[best >= threshold], chosen[best >= threshold]
    # of the detections that chose the same ground truth the one of the highest score, the first where several are
    rows_by_score = np.lexsort((rows, -scores[rows], chosen))
    _, winners = np.unique(chosen[rows_by_score], return_index=True)
    right[rows[rows_by_score[winners]]] = True
    return right


def box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Overlap of boxes (..., 4) pair by pair, from 0 to 1: intersection over union, 0 where both are empty."""
    a, b = (np.asarray(boxes, np.float64) for boxes in (a, b))
    corner = np.maximum(a[..., :2], b[..., :2])
    shared = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - corner, 0, None).prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - shared
    return np.divide(shared, union, out=np.zeros_like(union), where=union > 0)


def interpolated_precision(scores: np.ndarray, right: np.ndarray, total: int) -> float:
    """Area under the precision made non-increasing, of ``total`` things to find: 0 to 1, NaN if there are none."""
    if total == 0:
        return float("nan")
    hits = right[np.argsort(-rankable(scores), kind="stable")].cumsum()
    precision = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]
    recall = np.diff(hits / total, prepend=0.0)
    return float((precision * recall).sum())


def _mean(values: list[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
