"""Keypoints as JSON, of COCO, OpenPose, MediaPipe and Kinetics-skeleton."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from ..transforms.tracking import Persons, track_persons
from ..weights.skeletons import LayoutLike, find_layout
from .annotation_files import existing, read_json
from .records import PoseRecord
from .video_io import IMAGE_SUFFIXES, natural_order

Size = tuple[int, int]  # (height, width)

# which of the 25 joints of OpenPose's newer model, and of the 33 of MediaPipe's, are those of a layout
_OPENPOSE_25 = (*range(8), *range(9, 19))
_COCO_OF_OPENPOSE = (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)  # of its 18
_COCO_OF_MEDIAPIPE = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
_HAND = 21  # joints
_OPENPOSE_HANDS = ("hand_left_keypoints_2d", "hand_right_keypoints_2d")
# MediaPipe's names for what a frame holds, in small letters and without "_"
_BODIES = {"landmarks", "landmark", "persons", "poselandmarks"}
_HANDS = {"landmarks", "landmark", "handlandmarks", "multihandlandmarks", "lefthandlandmarks", "righthandlandmarks"}
# pictures where only fractions of them are told: of unknown ones as `normalize_2d` takes them, of Kinetics-skeleton
_NOMINAL, _KINETICS = (1080, 1920), (256, 340)
_MARGIN = 0.1  # around the joints of a person, of the longer side of their box, as detectors' boxes are larger too


class _Found(NamedTuple):
    frames: list[list[np.ndarray]]  # of each frame the persons, (V, 3): x, y, score
    size: Size | None = None  # of the picture
    fractions: bool = False  # of it, not pixels
    label: int = -1


def read_pose_json(path: str | Path, layout: LayoutLike = "coco", size: Size | None = None) -> PoseRecord:
    """The skeletons in a JSON file, or in a folder of them, a frame each.

    ========= ==========================================================================================================
    COCO      results, [{"image_id", "keypoints": [x, y, score ...]}] image after image, or {"images", "annotations"}:
              a frame for each image; joints with a flag above 0 are seen; crowds and items without joints are left out
    OpenPose  {"people": [{"pose_keypoints_2d": [x, y, score ...]}]} with 18 or 25 joints, a file a frame; of layouts of
              21 joints "hand_left_keypoints_2d" and "hand_right_keypoints_2d"
    MediaPipe a list of frames, {"frames": list}, or one frame. A frame is a list of landmarks {"x", "y", "visibility"},
              or of persons or hands, bare or under "landmark(s)", "pose_landmarks", "multi_hand_landmarks" and the
              like; null where nobody is seen
    Kinetics- ST-GCN's {"data": [{"frame_index", "skeleton": [{"pose": [x, y ...], "score": [...]}]}], "label_index"}
    skeleton
    ========= ==========================================================================================================

    Args:
        layout: of the joints wanted; 25, 18 or 33 joints are brought to 18 or 17 where it has as many.
        size: (height, width) of the picture; None: as the file says, else not known. MediaPipe and Kinetics-skeleton
            tell fractions of the picture, which then is taken for one of 1080 x 1920 (256 x 340) pixels.

    Returns:
        A record in pixels. Several persons are followed over time by the boxes around their joints, the surest first.

    Raises:
        InputError: the file is missing, of another format, or has other joints.
    """
    path = existing(path) if not Path(path).is_dir() else Path(path)
    files = sorted(path.glob("*.json"), key=lambda file: natural_order(file.name)) if path.is_dir() else [path]
    if not files:
        raise InputError(f"there is no .json file in {path}.")
    contents = [read_json(file) for file in files]
    count = find_layout(layout).num_joints
    found = _parsed(path, contents, count)
    if not found.frames:
        raise InputError(f"{path} holds no frames.")
    persons = [[_joints(path, person, count) for person in frame] for frame in found.frames]
    if found.fractions:
        pixels = size or found.size
        for person in (person for frame in persons for person in frame):
            person[:, :2] *= pixels[::-1]
    keypoints, scores = _over_time(persons, count)
    return PoseRecord(str(path), found.label, len(persons), keypoints, scores, size or found.size)


def holds_poses(source: Any) -> bool:
    """Whether ``source`` is the path of a JSON file, or of a folder with such files and no pictures."""
    if not isinstance(source, (str, os.PathLike)):
        return False
    path = Path(source)
    if not path.is_dir():
        return path.suffix.lower() == ".json"
    suffixes = {file.suffix.lower() for file in path.iterdir()}
    return ".json" in suffixes and not suffixes & set(IMAGE_SUFFIXES)


# -------------------------------------------------------------------------------------------------------- the formats


def _parsed(path: Path, contents: list[Any], count: int) -> _Found:
    """What the files hold, whichever format they are in."""
    content = contents[0]
    if all(isinstance(c, dict) and isinstance(c.get("people"), list) for c in contents):
        return _Found([list(_openpose(path, c["people"], count)) for c in contents])
    if len(contents) > 1:  # a frame each
        return _mediapipe(path, contents, count)
    if isinstance(content, dict) and isinstance(content.get("data"), list):
        return _kinetics(path, content)
    if isinstance(content, dict) and isinstance(content.get("annotations"), list):
        return _coco(path, content["annotations"], content.get("images") or [])
    if isinstance(content, list) and content and isinstance(content[0], dict) and "keypoints" in content[0]:
        return _coco(path, content, [])
    if isinstance(content, dict):
        content = content.get("frames", [content])
    elif isinstance(content, list) and content and all(isinstance(c, dict) and "x" in c for c in content):
        content = [content]
    if not isinstance(content, list) or not content:
        raise InputError(f"{path} holds no keypoints of COCO, OpenPose, MediaPipe or Kinetics-skeleton.")
    return _mediapipe(path, content, count)


def _coco(path: Path, annotations: list[Any], images: list[Any]) -> _Found:
    if not all(isinstance(item, dict) for item in (*annotations, *images)):
        raise InputError(f"{path}: images and annotations must be objects.")
    frames: dict[Any, list[np.ndarray]] = {image.get("id"): [] for image in images}
    for item in annotations:
        if item.get("iscrowd") or item.get("num_keypoints") == 0:
            continue
        joints = _triples(path, item.get("keypoints"))
        if "score" not in item:  # an annotation: a flag of 1 is a hidden joint, 2 one in sight
            joints[:, 2] = np.minimum(joints[:, 2], 1)
        frames.setdefault(item.get("image_id"), []).append(joints)
    size = next(((int(i["height"]), int(i["width"])) for i in images if i.get("height") and i.get("width")), None)
    return _Found(list(frames.values()), size)


def _openpose(path: Path, people: list[Any], count: int) -> Iterator[np.ndarray]:
    for person in people:
        keys = _OPENPOSE_HANDS if count == _HAND else ("pose_keypoints_2d",)
        if not isinstance(person, dict) or not any(key in person for key in keys):
            raise InputError(f"{path}: people must have {' or '.join(keys)}.")
        for key in keys:
            joints = _triples(path, person.get(key) or ())
            if joints[:, 2].any():  # it writes zeros for what it does not find
                yield joints


def _kinetics(path: Path, content: dict[str, Any]) -> _Found:
    try:
        frames: dict[int, list[np.ndarray]] = {}
        for item in content["data"]:
            persons = [(np.reshape(p["pose"], (-1, 2)), np.reshape(p["score"], (-1, 1))) for p in item["skeleton"]]
            frames[int(item["frame_index"])] = [np.concatenate(parts, 1).astype(np.float32) for parts in persons]
        numbers = range(min(frames), max(frames) + 1)
        label = content.get("label_index")
        return _Found([frames.get(n, []) for n in numbers], _KINETICS, True, -1 if label is None else int(label))
    except (KeyError, TypeError, ValueError):
        raise InputError(
            f'{path}: "data" must be frames with "frame_index" and "skeleton", of "pose" and "score".'
        ) from None


def _mediapipe(path: Path, frames: list[Any], count: int) -> _Found:
    keys = _HANDS if count == _HAND else _BODIES
    return _Found([[_landmarks(path, p) for p in _persons(path, frame, keys)] for frame in frames], _NOMINAL, True)


def _persons(path: Path, part: Any, keys: set[str]) -> Iterator[list[dict[str, Any]]]:
    """The persons or hands in a frame or in a part of one, each a list of landmarks."""
    if part is None:
        return
    if isinstance(part, list) and part and all(isinstance(item, dict) and "x" in item for item in part):
        yield part
        return
    if isinstance(part, dict):
        part = [value for key, value in part.items() if key.lower().replace("_", "") in keys] or None
    if not isinstance(part, list):
        raise InputError(f"{path}: a frame must be a list of landmarks, or of persons or hands, or name its landmarks.")
    for inner in part:
        yield from _persons(path, inner, keys)


def _landmarks(path: Path, person: list[dict[str, Any]]) -> np.ndarray:
    try:
        found = np.array([[p["x"], p["y"], _visibility(p)] for p in person], np.float32)
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path}: a landmark must have x and y.") from None
    if not found[:, 2].any():  # of hands MediaPipe tells none
        found[:, 2] = 1
    return found


def _visibility(landmark: dict[str, Any]) -> float:
    told = landmark.get("visibility")
    return 1.0 if told is None else told


# ------------------------------------------------------------------------------------------------------------- joints


def _triples(path: Path, values: Any) -> np.ndarray:
    """(V, 3)."""
    try:
        return np.array(values, dtype=np.float32).reshape(-1, 3)
    except (TypeError, ValueError):
        raise InputError(f"{path}: keypoints must be x, y and score of every joint.") from None


def _joints(path: Path, person: np.ndarray, count: int) -> np.ndarray:
    """A person with so many joints, where they are among theirs."""
    if len(person) == 25 and count in (17, 18):
        person = person[list(_OPENPOSE_25)]
    if count == 17 and len(person) in (18, 33):
        person = person[list(_COCO_OF_OPENPOSE if len(person) == 18 else _COCO_OF_MEDIAPIPE)]
    if len(person) != count:
        raise InputError(f"{path}: {len(person)} joints where the layout has {count}.")
    return person


def _over_time(frames: list[list[np.ndarray]], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (M, T, V, 2) and scores (M, T, V)."""
    if max(map(len, frames)) > 1:
        seen = []
        for frame in frames:
            joints = np.array(frame, np.float32).reshape(-1, count, 3)
            seen.append(Persons(np.array([_box(p) for p in joints]).reshape(-1, 4), joints[..., :2], joints[..., 2]))
        return track_persons(seen, count)[1:]
    out = np.zeros((max(map(len, frames)), len(frames), count, 3), np.float32)
    for t, frame in enumerate(frames):
        for person in frame:  # whoever is there is the same one
            out[0, t] = person
    return out[..., :2], out[..., 2]


def _box(joints: np.ndarray) -> list[float]:
    """x1, y1, x2, y2 around the joints (V, 3) that are seen."""
    seen = joints[joints[:, 2] > 0, :2] if (joints[:, 2] > 0).any() else joints[:, :2]
    low, high = seen.min(0), seen.max(0)
    margin = _MARGIN * (high - low).max() + 1e-6
    return [*(low - margin), *(high + margin)]
