"""Who is who: persons found frame by frame, followed over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Persons(NamedTuple):
    """The persons in one frame; a pose estimator returns a list of these, one a frame."""

    boxes: np.ndarray  # (N, 4): x1, y1, x2, y2 in pixels
    keypoints: np.ndarray  # (N, V, 2) in pixels
    scores: np.ndarray  # (N, V), 0 to 1


def track_persons(
    seen: Sequence[Persons], joints: int, *, min_iou: float = 0.3, max_gap: int = 5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Persons frame by frame as persons over time, by how much their boxes overlap from frame to frame.

    In every frame the pairs of most overlap are joined first. A person not seen for more than ``max_gap`` frames is a
    new one after that.

    Returns:
        Boxes (M, T, 4), keypoints (M, T, V, 2) and scores (M, T, V), zeros where a person is not seen; the persons with
        the highest sum of scores first.
    """
    tracks: list[dict[int, int]] = []  # of each person, frame -> which one in that frame
    for now, persons in enumerate(seen):
        live = [t for t in tracks if now - max(t) <= max_gap + 1]
        last = np.array([seen[max(t)].boxes[t[max(t)]] for t in live]).reshape(-1, 4)
        overlap = box_iou(last, np.asarray(persons.boxes).reshape(-1, 4))
        free = set(range(len(persons.boxes)))
        while overlap.size and overlap.max() >= min_iou:
            old, new = np.unravel_index(overlap.argmax(), overlap.shape)
            live[old][now] = int(new)
            free.discard(int(new))
            overlap[old], overlap[:, new] = 0, 0
        tracks += [{now: new} for new in sorted(free)]

    if tracks:
        joints = next(p.keypoints.shape[1] for p in seen if len(p.boxes))
    shape = (len(tracks), len(seen))
    boxes, keypoints, scores = (np.zeros((*shape, *rest), np.float32) for rest in ((4,), (joints, 2), (joints,)))
    for person, times in enumerate(tracks):
        for now, which in times.items():
            boxes[person, now] = seen[now].boxes[which]
            keypoints[person, now], scores[person, now] = seen[now].keypoints[which], seen[now].scores[which]
    order = np.argsort(-scores.sum((1, 2)), kind="stable")
    return boxes[order], keypoints[order], scores[order]


def box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Overlap of boxes (N, 4) and (M, 4) by their union: (N, M)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inside = (high - low).clip(min=0).prod(-1)
    area_a, area_b = ((v[:, 2:] - v[:, :2]).clip(min=0).prod(-1) for v in (a, b))
    return inside / np.maximum(area_a[:, None] + area_b[None] - inside, 1e-9)
