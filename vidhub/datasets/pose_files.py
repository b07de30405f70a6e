"""Keypoints as JSON, of COCO, OpenPose and MediaPipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..weights.skeletons import LayoutLike, find_layout
from .annotation_files import existing, read_json
from .records import PoseRecord

# which of the 25 joints of OpenPose's newer model, and of the 33 of MediaPipe's, are those of a layout
_OPENPOSE_25 = (*range(8), *range(9, 19))
_COCO_OF_OPENPOSE = (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)  # of its 18
_COCO_OF_MEDIAPIPE = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)


def read_pose_json(path: str | Path, layout: LayoutLike = "coco") -> PoseRecord:
    """The skeletons in a JSON file, or in a folder of them, a frame each.

    =========  ==================================================================================================
    COCO       results, or annotations: a list of {"image_id", "keypoints": [x, y, score ...]}, image after image
    OpenPose   {"people": [{"pose_keypoints_2d": [x, y, score ...]}]} with 18 or 25 joints, a file a frame
    MediaPipe  a list of frames; a frame is a list of landmarks {"x", "y", "visibility"}, or of persons or hands
    =========  ==================================================================================================

    Returns:
        A record of the persons in the order of the file, which need not be the same from frame to frame; joints as in
        ``layout``. MediaPipe's coordinates are fractions of the picture, whose size is then (1, 1).

    Raises:
        InputError: the file is missing, of another format, or has other joints.
    """
    path = existing(path) if not Path(path).is_dir() else Path(path)
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise InputError(f"there is no .json file in {path}.")
    contents = [read_json(file) for file in files]
    count = find_layout(layout).num_joints
    if all(isinstance(c, dict) and "people" in c for c in contents):
        frames = [[_numbers(path, p.get("pose_keypoints_2d")) for p in c["people"]] for c in contents]
        return _record(path, [[_openpose(path, person, count) for person in frame] for frame in frames], count)
    content = contents[0]
    if isinstance(content, dict):
        content = content.get("annotations", content.get("frames"))
    if not isinstance(content, list) or len(contents) > 1 or not content:
        raise InputError(f"{path} holds no keypoints of COCO, OpenPose or MediaPipe.")
    if isinstance(content[0], dict) and "keypoints" in content[0]:
        by_image: dict[Any, list[np.ndarray]] = {}
        for item in content:
            by_image.setdefault(item.get("image_id"), []).append(_numbers(path, item.get("keypoints")))
        return _record(path, list(by_image.values()), count)
    frames = [[_landmarks(path, person, count) for person in _persons(path, frame)] for frame in content]
    return _record(path, frames, count, (1, 1))


def _numbers(path: Path, values: Any) -> np.ndarray:
    """(V, 3)."""
    try:
        return np.asarray(values, dtype=np.float32).reshape(-1, 3)
    except (TypeError, ValueError):
        raise InputError(f"{path}: keypoints must be x, y and score of every joint.") from None


def _openpose(path: Path, person: np.ndarray, count: int) -> np.ndarray:
    person = person[list(_OPENPOSE_25)] if len(person) == 25 else person
    return person[list(_COCO_OF_OPENPOSE)] if len(person) == 18 and count == 17 else person


def _persons(path: Path, frame: Any) -> list[list[dict[str, float]]]:
    if isinstance(frame, dict):
        frame = frame.get("landmarks", frame.get("persons"))
    if not isinstance(frame, list) or not all(isinstance(item, (dict, list)) for item in frame):
        raise InputError(f"{path}: a frame must be a list of landmarks, or of persons.")
    return [frame] if frame and isinstance(frame[0], dict) else [person for person in frame if person]


def _landmarks(path: Path, person: Sequence[dict[str, float]], count: int) -> np.ndarray:
    try:
        found = np.array([[p["x"], p["y"], p.get("visibility", 1.0)] for p in person], np.float32)
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path}: a landmark must have x and y.") from None
    return found[list(_COCO_OF_MEDIAPIPE)] if len(found) == 33 and count == 17 else found


def _record(path: Path, frames: list[list[np.ndarray]], count: int, size: tuple[int, int] | None = None) -> PoseRecord:
    most = max(map(len, frames))
    out = np.zeros((most, len(frames), count, 3), np.float32)
    for t, frame in enumerate(frames):
        for m, person in enumerate(frame):
            if len(person) != count:
                raise InputError(f"{path}: {len(person)} joints where the layout has {count}.")
            out[m, t] = person
    return PoseRecord(str(path), -1, len(frames), out[..., :2], out[..., 2], size)
