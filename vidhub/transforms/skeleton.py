"""Skeletons as arrays: normalising, bones and motion, the box around persons, persons by frame.

Keypoints are (M, T, V, C): persons, frames, joints, and x, y or x, y, z, or x, y, score. A missing joint is all zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ..errors import InputError, unknown_name
from ..weights.skeletons import LayoutLike, find_layout
from .functional import Box

Size = tuple[int, int]  # (height, width)

_MOST_SCORE = 2.0  # detectors' scores end near 1, COCO's flags at 2


# ------------------------------------------------------------------------------------------------------- what is given


def as_keypoints(keypoints: Any, scores: Any = None) -> tuple[np.ndarray, np.ndarray | None]:
    """Skeletons as float32 arrays, out of arrays, tensors or lists.

    Args:
        keypoints: (M, T, V, 2 or 3), or (T, V, 2 or 3) of one person.
        scores: (M, T, V), or (T, V) of one person; None: not known.

    Returns:
        Keypoints (M, T, V, C) and scores (M, T, V) or None. A joint that is not finite counts as not seen: zeros.

    Raises:
        InputError: these are no numbers, or of another shape.
    """
    keypoints = _numbers("keypoints", keypoints)
    scores = None if scores is None else _numbers("scores of keypoints", scores)
    if keypoints.ndim == 3:
        keypoints, scores = keypoints[None], scores[None] if scores is not None and scores.ndim == 2 else scores
    if keypoints.ndim != 4 or keypoints.shape[-1] not in (2, 3):
        raise InputError(f"keypoints must be (persons, frames, joints, 2 or 3), not of shape {keypoints.shape}.")
    if scores is not None and scores.shape != keypoints.shape[:-1]:
        wanted = f"(persons, frames, joints), here {keypoints.shape[:-1]}"
        raise InputError(f"scores of keypoints must be {wanted}, not of shape {scores.shape}.")
    finite = np.isfinite(keypoints).all(-1) if scores is None else np.isfinite(keypoints).all(-1) & np.isfinite(scores)
    if not finite.all():
        keypoints = np.where(finite[..., None], keypoints, 0)
        scores = None if scores is None else np.where(finite, scores, 0)
    return keypoints, scores


def _numbers(what: str, values: Any) -> np.ndarray:
    if hasattr(values, "detach"):  # a tensor, on any device
        values = values.detach().cpu().float()
    try:
        with np.errstate(over="ignore"):
            return np.asarray(values).astype(np.float32, copy=False)
    except (TypeError, ValueError):
        raise InputError(f"{what} must be an array of numbers, not {type(values).__name__}.") from None


def holds_scores(keypoints: np.ndarray) -> bool:
    """Whether the third of three coordinates could be a detector's score, which z seldom could."""
    third = keypoints[..., 2]
    return third.min(initial=0) >= 0 and third.max(initial=0) <= _MOST_SCORE


# -------------------------------------------------------------------------------------------------------- normalising


def normalize_2d(keypoints: np.ndarray, size: Size | None = None) -> np.ndarray:
    """Pixels as -1 (left, top) to 1 (right, bottom) of a picture of this size; None: 1080 x 1920.

    Missing joints become (-1, -1), as in the trainings of the published networks.
    """
    height, width = size or (1080, 1920)
    half = np.array([width / 2, height / 2], np.float32)
    out = keypoints.astype(np.float32)
    out[..., :2] = (out[..., :2] - half) / half
    return out


def normalize_box(keypoints: np.ndarray, scores: np.ndarray | None = None, dims: int = 2) -> np.ndarray:
    """-1 to 1 of the box around all joints that are there (all frames together); missing ones become 0.

    Joints with a score of 0 are missing; so that where no joint is seen all is zero, and nothing stays in pixels. The
    box is of the first ``dims`` coordinates.
    """
    there = (keypoints[..., :dims] != 0).any(-1) if scores is None else scores > 0
    if not there.any():
        return np.zeros_like(keypoints, np.float32)
    out = keypoints.astype(np.float32)
    low, high = out[there][:, :dims].min(0), out[there][:, :dims].max(0)
    out[..., :dims] = (out[..., :dims] - (low + high) / 2) / np.maximum(high - low, 1e-6) * 2
    out[..., :dims] *= there[..., None]
    return out


def rotation_between(vector: np.ndarray, target: Sequence[float]) -> np.ndarray:
    """Float64 (3, 3): turns ``vector`` into the direction of ``target``; the identity where it is so, or opposite."""
    vector, target = np.asarray(vector, np.float64), np.asarray(target, np.float64)
    axis = np.cross(vector, target)
    length = np.linalg.norm(vector)
    if np.abs(axis).sum() < 1e-6 or length < 1e-6:
        return np.eye(3)
    angle = np.arccos(np.clip(vector @ target / length, -1, 1))
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def normalize_3d(
    keypoints: np.ndarray,
    *,
    middle: int | None = None,
    spine: tuple[int, int] = (0, 1),
    shoulders: tuple[int, int] = (4, 8),
    align_center: bool = True,
    align_spine: bool = True,
    align_shoulders: bool = True,
) -> tuple[np.ndarray, np.ndarray | None]:
    """3D skeletons with the first person in the middle, upright and facing forwards in the first frame.

    Frames without the first person are left out; the second person comes first if seen in more frames. As 2s-AGCN
    prepares NTU RGB+D.

    Args:
        middle: joint that becomes the origin; None: joint 1 of 25, else the last one.
        spine: joints from bottom to top, turned to +z.
        shoulders: joints from left to right, turned to +x after that.

    Returns:
        Keypoints (M, T', V, 3), and what was the middle (3,); unchanged and None if all is zero.
    """
    if keypoints.sum() == 0:
        return keypoints, None
    seen = ~np.isclose(keypoints[:2], 0).all((2, 3))
    if len(keypoints) > 1 and seen[1].sum() > seen[0].sum():
        keypoints, seen = np.concatenate((keypoints[1::-1], keypoints[2:])), seen[::-1]
    out = keypoints[:, seen[0]].astype(np.float64)
    if not out.shape[1]:
        return keypoints, None
    first = out[0, 0]
    center = first[(1 if len(first) == 25 else -1) if middle is None else middle].copy()
    if align_center:
        out = (out - center) * (out != 0).any(-1, keepdims=True)
    for (start, end), target, wanted in (
        (spine, (0, 0, 1), align_spine),
        (shoulders, (1, 0, 0), align_shoulders),
    ):
        if wanted:
            out = out @ rotation_between(out[0, 0, end] - out[0, 0, start], target).T
    return out, center


def normalize_person(keypoints: np.ndarray, layout: LayoutLike) -> np.ndarray:
    """3D skeletons of any layout: :func:`normalize_3d` where the layout says what is upright.

    Of others the first person's centre becomes the origin in its first frame, and all is scaled so that its bones there
    are 1 long on average; missing joints stay zero. A centre that is not seen gives way to the mean of its joints.
    """
    layout = find_layout(layout)
    if layout.spine and layout.shoulders:
        middle, spine, shoulders = layout.middle, layout.spine, layout.shoulders
        return normalize_3d(keypoints, middle=middle, spine=spine, shoulders=shoulders)[0]
    out, _ = normalize_3d(keypoints, align_center=False, align_spine=False, align_shoulders=False)
    there = (out != 0).any(-1, keepdims=True)
    if not there.any():
        return out
    first, seen = out[0, 0], there[0, 0, :, 0]
    ends = np.array([edge for edge in layout.edges if seen[list(edge)].all()], int).reshape(-1, 2)
    length = np.linalg.norm(first[ends[:, 0]] - first[ends[:, 1]], axis=-1).mean() if len(ends) else 1.0
    origin = first[layout.center] if seen[layout.center] else first[seen].mean(0)
    return (out - origin) * there / max(length, 1e-6)


# ------------------------------------------------------------------------------------------------------------ streams


def bones(keypoints: np.ndarray, layout: LayoutLike) -> np.ndarray:
    """Each joint minus the one that its bone comes from; of scores their mean."""
    layout = find_layout(layout)
    origins = keypoints[..., layout.origins, :]
    out = keypoints - origins
    if layout.scored and keypoints.shape[-1] == 3:
        out[..., 2] = (keypoints[..., 2] + origins[..., 2]) / 2
    return out


def motion(keypoints: np.ndarray, layout: LayoutLike) -> np.ndarray:
    """Each frame's change to the next, zeros in the last one; of scores their mean."""
    out = np.zeros_like(keypoints)
    out[:, :-1] = keypoints[:, 1:] - keypoints[:, :-1]
    if find_layout(layout).scored and keypoints.shape[-1] == 3:
        out[:, :-1, :, 2] = (keypoints[:, 1:, :, 2] + keypoints[:, :-1, :, 2]) / 2
    return out


def streams(keypoints: np.ndarray, layout: LayoutLike, names: Sequence[str]) -> np.ndarray:
    """Streams "joint", "bone", "joint_motion" and "bone_motion", as many as asked for, one after the other along C.

    Raises:
        UnknownNameError: no such stream or layout.
    """
    found = []
    for name in names:
        part, _, moving = name.partition("_")
        if part not in ("joint", "bone") or moving not in ("", "motion"):
            raise unknown_name("stream", name, ("joint", "bone", "joint_motion", "bone_motion"))
        values = bones(keypoints, layout) if part == "bone" else keypoints
        found.append(motion(values, layout) if moving else values)
    return np.concatenate(found, -1)


# ------------------------------------------------------------------------------------------------- frames and persons


def with_scores(keypoints: np.ndarray, scores: np.ndarray | None) -> np.ndarray:
    """The scores (M, T, V) as one more coordinate."""
    return keypoints if scores is None else np.concatenate((keypoints, scores[..., None]), -1)


def take_persons(keypoints: np.ndarray, count: int, mode: Literal["zero", "loop"] = "zero") -> np.ndarray:
    """The first ``count`` persons; where there are fewer, zeros, or with "loop" copies of the only one."""
    if len(keypoints) < count:
        if mode == "loop" and len(keypoints) == 1:
            return np.repeat(keypoints, count, 0)
        missing = np.zeros((count - len(keypoints), *keypoints.shape[1:]), keypoints.dtype)
        return np.concatenate((keypoints, missing))
    return keypoints[:count]


def split_clips(keypoints: np.ndarray, num_clips: int) -> np.ndarray:
    """(M, clips * T, V, C) as (clips, M, T, V, C)."""
    persons, _, *rest = keypoints.shape
    return np.ascontiguousarray(keypoints.reshape(persons, num_clips, -1, *rest).swapaxes(0, 1))


def pad_frames(keypoints: np.ndarray, length: int, mode: Literal["loop", "zero"] = "loop") -> np.ndarray:
    """Fill up to ``length`` frames, from the beginning again or with zeros."""
    frames = keypoints.shape[1]
    out = keypoints[:, np.arange(length) % frames]
    if mode == "zero":
        out[:, frames:] = 0
    return out


def persons_by_frame(
    boxes: np.ndarray,
    frames: np.ndarray,
    num_frames: int,
    *,
    chosen: np.ndarray | None = None,
    squeeze: bool = True,
    max_persons: int = 10,
) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints stored by person box, (boxes, V, 3), as (M, T, V, 2) and their scores (M, T, V); in half precision.

    Args:
        frames: (boxes,) the frame of each box, ascending; persons of a frame are in the order of their boxes.
        chosen: which boxes to take: a mask or indices.
        squeeze: leave out frames without a box, and count the others anew.
        max_persons: where a frame has more, the likeliest.
    """
    if chosen is not None:
        boxes, frames = boxes[chosen], frames[chosen]
    if squeeze:
        frames = np.unique(frames, return_inverse=True)[1]
        num_frames = int(frames.max(initial=-1)) + 1
    first = np.searchsorted(frames, frames)  # where the frame's boxes begin
    place = np.arange(len(frames)) - first
    boxes = boxes.astype(np.float16)
    if place.max(initial=0) >= max_persons:
        order = np.lexsort((-boxes[..., 2].sum(-1), frames))
        boxes = boxes[order]
    out = np.zeros((int(place.max(initial=-1)) + 1, num_frames, *boxes.shape[1:]), np.float16)
    out[place, frames] = boxes
    return out[:max_persons, ..., :2], out[:max_persons, ..., 2]


# -------------------------------------------------------------------------------------------------------- the picture


def person_box(
    keypoints: np.ndarray,
    size: Size,
    *,
    padding: float = 0.25,
    threshold: float = 10,
    ratio: tuple[float, float] | float | None = None,
    beyond: bool = True,
) -> Box | None:
    """The box around all joints that are there, whole pixels; None where it is narrower than ``threshold``.

    Args:
        size: of the picture.
        padding: how much wider and higher than the joints the box is.
        ratio: least and largest height / width; a number: both. None: any.
        beyond: the box may go beyond the picture.
    """
    low, high = [], []
    for values in (keypoints[..., 0], keypoints[..., 1]):
        there = values[values != 0]
        if not there.size or there.max() - there.min() < threshold:
            return None
        low.append(there.min())
        high.append(there.max())
    middle = [(a + b) / 2 for a, b in zip(low, high, strict=True)]
    half_w, half_h = ((b - a) / 2 * (1 + padding) for a, b in zip(low, high, strict=True))
    if ratio:
        least, largest = (ratio, ratio) if isinstance(ratio, (int, float)) else ratio
        half_h = max(least * half_w, half_h)
        half_w = max(half_h / largest, half_w)
    box = [middle[0] - half_w, middle[1] - half_h, middle[0] + half_w, middle[1] + half_h]
    if not beyond:
        height, width = size
        box = [max(0, box[0]), max(0, box[1]), min(width, box[2]), min(height, box[3])]
    x1, y1, x2, y2 = (int(v) for v in box)
    return x1, y1, x2, y2


def into_box(keypoints: np.ndarray, box: Box) -> np.ndarray:
    """Keypoints in pixels from the corner of ``box``; missing coordinates stay zero."""
    out = keypoints.astype(np.float32)
    corner = np.array(box[:2], np.float32)
    out[..., :2] = np.where(out[..., :2] == 0, 0, out[..., :2] - corner)
    return out


def crop_padded(images: np.ndarray, box: Box) -> np.ndarray:
    """The pixels in ``box`` of (..., H, W, C) images, zeros beyond them."""
    x1, y1, x2, y2 = box
    height, width = images.shape[-3:-1]
    out = np.zeros((*images.shape[:-3], y2 - y1, x2 - x1, images.shape[-1]), images.dtype)
    left, top, right, bottom = max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
    if left < right and top < bottom:
        inside = images[..., top:bottom, left:right, :]
        out[..., top - y1 : bottom - y1, left - x1 : right - x1, :] = inside
    return out
