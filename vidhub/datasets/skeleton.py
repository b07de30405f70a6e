"""Skeletons of persons, frame by frame."""

from __future__ import annotations

import functools
import importlib.resources
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, check_choice, unknown_name
from ..transforms.skeleton import persons_by_frame
from ..weights.types import read_labels
from .annotation_files import existing, read_pickle
from .info import DatasetInfo, Parsed
from .records import PoseRecord


def read_poses(
    path: str | Path,
    *,
    split: str | None = None,
    folder: str | Path = "",
    skeletons: str | Path | None = None,
    valid_ratio: float = 0.0,
    min_box_score: float = 0.5,
) -> list[PoseRecord]:
    """The records of a skeleton pickle in the format of PYSKL and MMAction2, in file order.

    The file is a list of dictionaries, or ``{"split": {name: [videos]}, "annotations": list}``. A dictionary has
    "frame_dir" or "filename" (the video), "label", "total_frames" and "keypoint" (persons, frames, joints, 2 or 3), and
    may have "keypoint_score" (persons, frames, joints) and "img_shape" (height, width); of one person the first axis
    may be missing. What else there is goes to ``record.extra``; in files by person box these are "frame_inds" (the
    frame of each box) and "box_score", and ``record.keypoints`` is (boxes, joints, 3), as stored.

    Args:
        split: keep only the videos of this split; None or "" for all.
        folder: put in front of names.
        skeletons: folder with a pickle for each video, NAME.pkl, whose keys belong to the video's dictionary; only read
            by :func:`load_keypoints`.
        valid_ratio: keep videos where this part of the frames has a box of ``min_box_score``, as "valid" counts them;
            above 0 ``extra["anno_inds"]`` says which boxes reach the score.

    Raises:
        InputError: the file is missing or malformed, or has no counts for ``min_box_score``.
        UnknownNameError: the file has no such split.
    """
    content = read_pickle(path)
    annotations = content.get("annotations") if isinstance(content, dict) else content
    if not isinstance(annotations, list):
        raise InputError(f'{path} must hold a list of annotations, or a dictionary with "split" and "annotations".')
    chosen = None
    if split:
        splits = content.get("split") if isinstance(content, dict) else None
        if not splits:
            raise InputError(f"{path} has no splits: leave split (train_split, val_split) empty to read all of it.")
        check_choice("split", split, splits)
        chosen = set(splits[split])
    records = []
    for number, item in enumerate(annotations, 1):
        where = f"{path}, annotation {number}"
        name_key = "filename" if isinstance(item, dict) and "filename" in item else "frame_dir"
        missing = [k for k in (name_key, "label", "total_frames") if not isinstance(item, dict) or k not in item]
        if missing:
            raise InputError(f"{where}: {', '.join(missing)} missing.")
        if chosen is not None and item[name_key] not in chosen:
            continue
        extra = {}
        if valid_ratio > 0:
            if _valid_frames(where, item, min_box_score) / max(item["total_frames"], 1) < valid_ratio:
                continue
            extra = {"anno_inds": item["box_score"] >= min_box_score}
        if skeletons and "keypoint" not in item and "raw_file" not in item:
            extra["kpfile"] = str(Path(skeletons, f"{item[name_key]}.pkl"))
        records.append(_pose_record(where, item, name_key, folder, extra))
    return records


def _valid_frames(where: str, item: dict[str, Any], min_box_score: float) -> int:
    if "valid" not in item or "box_score" not in item:
        raise InputError(f'{where}: valid_ratio needs "valid" and "box_score"; leave it at 0.')
    if min_box_score not in item["valid"]:
        known = ", ".join(map(str, item["valid"]))
        raise InputError(f"{where}: min_box_score must be one of {known}, not {min_box_score}.")
    return item["valid"][min_box_score]


_KNOWN_KEYS = ("frame_dir", "filename", "label", "total_frames", "keypoint", "keypoint_score", "img_shape")


def _pose_record(
    where: str, item: dict[str, Any], name_key: str, folder: str | Path, extra: dict[str, Any]
) -> PoseRecord:
    keypoints = item.get("keypoint")
    # Kinetics' file is a table of contents: the skeletons are in a file for each video
    if keypoints is None and "raw_file" not in item and "kpfile" not in extra:
        raise InputError(f'{where}: neither "keypoint" nor "raw_file" is there.')
    keypoints = np.empty((0, 0, 0, 2), dtype=np.float32) if keypoints is None else np.asarray(keypoints)
    if keypoints.ndim not in (3, 4):
        raise InputError(f"{where}: keypoint must be (persons, frames, joints, 2 or 3), not {keypoints.shape}.")
    scores = item.get("keypoint_score")
    if len(keypoints) == item["total_frames"] and keypoints.ndim == 3 and "frame_inds" not in item:  # one person's
        keypoints, scores = keypoints[None], None if scores is None else np.asarray(scores)[None]
    if not all(isinstance(item[key], (int, np.integer)) for key in ("label", "total_frames")):
        raise InputError(f"{where}: label and total_frames must be whole numbers, and one label a video.")
    size = item.get("img_shape")
    return PoseRecord(
        str(Path(folder, item[name_key])),
        int(item["label"]),
        int(item["total_frames"]),
        keypoints,
        scores,
        None if size is None else (int(size[0]), int(size[1])),
        {k: v for k, v in item.items() if k not in _KNOWN_KEYS} | extra,
    )


def parse_poses(
    root: Path,
    split: str,
    *,
    annotation: str | Sequence[str],
    label_set: str | None = None,
    classes: Sequence[str] = (),
    valid_ratio: float = 0.0,
    min_box_score: float = 0.5,
) -> Parsed:
    """:func:`read_poses` of the file ``annotation`` under ``root``.

    Of several names or patterns it is the first one that is there. What the file leaves out is in ``root/kpfiles``.

    Raises:
        InputError: there is no such file, or several fit a pattern; see also ``read_poses``.
    """
    names = (annotation,) if isinstance(annotation, str) else tuple(annotation)
    found = next((paths for name in names if (paths := sorted(root.glob(name)))), [])
    if not found:
        raise InputError(f"there is no {' or '.join(names)} in {root}; check the folder of the data set.")
    if len(found) > 1:
        files = ", ".join(path.name for path in found)
        raise InputError(f"{root} holds {files}: call the right one {names[0]}, or name it as annotation.")
    kpfiles = root / "kpfiles"
    options = {"valid_ratio": valid_ratio, "min_box_score": min_box_score}
    records = read_poses(found[0], split=split, skeletons=kpfiles if kpfiles.is_dir() else None, **options)
    for record in records:
        if "raw_file" in record.extra:
            record.extra["raw_file"] = str(kpfiles / Path(record.extra["raw_file"]).name)
    return Parsed(records, read_labels(label_set) if label_set else tuple(classes))


def load_keypoints(record: PoseRecord, by_person: bool = False) -> PoseRecord:
    """``record`` with its skeletons out of the file that its annotation left them in (Kinetics), others as they are.

    That is a pickle of many videos (``extra["raw_file"]``), or one of this video alone (``extra["kpfile"]``).
    ``keypoints`` becomes (boxes, joints, 3) x, y, score, as the file has it; ``extra["frame_inds"]`` and
    ``extra["box_score"]`` go with the boxes.

    With ``by_person`` skeletons that are stored by person box become (persons, frames, joints, 2) with scores; frames
    without a box, and where the record has "anno_inds" the other boxes, are left out.

    Raises:
        InputError: the file is missing or does not have the video, or it is not known where its boxes belong.
    """
    record = _with_stored(record)
    if not by_person or np.ndim(record.keypoints) == 4:
        return record
    frames, chosen = record.extra.get("frame_inds"), record.extra.get("anno_inds")
    if frames is None:
        raise InputError(f"{record.name!r} has skeletons by person box, but no frame_inds that say where they belong.")
    boxes, frames = np.asarray(record.keypoints), np.asarray(frames)
    if boxes.shape != (len(frames), *boxes.shape[1:2], 3):
        raise InputError(f"{record.name!r}: keypoint must be ({len(frames)} boxes, joints, 3), not {boxes.shape}.")
    keypoints, scores = persons_by_frame(boxes, frames, record.num_frames, chosen=chosen)
    return replace(record, keypoints=keypoints, scores=scores, num_frames=keypoints.shape[1])


def _with_stored(record: PoseRecord) -> PoseRecord:
    extra = dict(record.extra)
    if path := extra.pop("kpfile", None):
        item = read_pickle(path)
        if not isinstance(item, dict) or "keypoint" not in item:
            raise InputError(f"{path} has no skeletons of {record.name!r}; get the file again.")
        extra |= {k: v for k, v in item.items() if k not in _KNOWN_KEYS}
        scores, size = item.get("keypoint_score"), item.get("img_shape", record.image_size)
        size = None if size is None else (int(size[0]), int(size[1]))
        return replace(record, keypoints=np.asarray(item["keypoint"]), scores=scores, image_size=size, extra=extra)
    if path := record.extra.get("raw_file"):
        content, key = read_pickle(path), record.extra.get("key", record.name)
        if not isinstance(content, dict) or "keypoint" not in content.get(key, ()):
            raise InputError(f"{path} has no skeletons of {key!r}; get the file again.")
        return replace(record, keypoints=np.asarray(content[key]["keypoint"]))
    return record


# of the files' authors: NTU RGB+D (arXiv:1604.02808), NTU RGB+D 120 (arXiv:1905.04757)
_XSUB60 = {1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38}
_XSUB120 = _XSUB60 | {45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86, 89}
_XSUB120 |= {91, 92, 93, 94, 95, 97, 98, 100, 103}
_NTU_NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")
_NTU_PARTS = ("setup", "camera", "performer", "replication", "action")


def ntu_parts(name: str) -> dict[str, int]:
    """What the name of an NTU RGB+D sample says: setup, camera, performer, replication and action, each from 1.

    Raises:
        InputError: it is no such name.

    >>> ntu_parts("S001C002P003R002A013")
    {'setup': 1, 'camera': 2, 'performer': 3, 'replication': 2, 'action': 13}
    """
    if not (match := _NTU_NAME.match(name)):
        raise InputError(f"{name!r} is not a sample of NTU RGB+D; names look like S001C002P003R002A013.")
    return dict(zip(_NTU_PARTS, map(int, match.groups()), strict=True))


def ntu_split(name: str, protocol: str, num_classes: int = 60) -> str:
    """Whether a sample is for "train" or "val" in ``protocol``: xsub (by person), xview (by camera) or xset (by setup).

    Args:
        num_classes: 60 or 120; cross-subject has a list of persons for each.

    Raises:
        InputError: ``name`` is no sample.
        UnknownNameError: no such protocol.

    >>> ntu_split("S001C002P003R002A013", "xsub"), ntu_split("S001C002P003R002A013", "xview")
    ('val', 'train')
    """
    parts = ntu_parts(name)
    training = {
        "xsub": parts["performer"] in (_XSUB60 if num_classes == 60 else _XSUB120),
        "xview": parts["camera"] in (2, 3),
        "xset": parts["setup"] % 2 == 0,
    }
    check_choice("protocol", protocol, training)
    return "train" if training[protocol] else "val"


@functools.lru_cache
def ntu_missing() -> frozenset[str]:
    """The 535 samples of NTU RGB+D 120 (302 of the first 60 classes) without a skeleton, as its authors list them."""
    path = importlib.resources.files(__package__) / "ntu_missing_skeletons.txt"
    return frozenset(path.read_text(encoding="utf-8").split())


def read_ntu_skeleton(path: str | Path) -> PoseRecord:
    """The bodies in a ``.skeleton`` file of NTU RGB+D.

    ``keypoints`` is float32 (bodies, frames, 25, 3) in metres from the camera, bodies in order of appearance, zeros
    where a body is not seen; nothing is denoised. ``extra`` has the parts of the name and "body_ids".

    The file has the number of frames; for each the number of bodies; for each body its id and state, its number of
    joints, and a line of 12 numbers a joint, x, y and z first.

    Raises:
        InputError: the file is missing, its name is not one of NTU RGB+D, or it ends early; with the line.
    """
    path = existing(path)
    parts = ntu_parts(path.name)
    lines = path.read_text(encoding="ascii").splitlines()
    position = 0

    def take(count: int) -> list[str]:
        nonlocal position
        position += count
        if position > len(lines):
            raise InputError(f"{path}, line {len(lines)}: the file ends early; get it again.")
        return lines[position - count : position]

    def number() -> int:
        (line,) = take(1)
        if not line.strip().isdecimal():
            raise InputError(f"{path}, line {position}: expected a number, not {line!r}.")
        return int(line)

    num_frames = number()
    bodies: dict[str, np.ndarray] = {}
    for frame in range(num_frames):
        for _ in range(number()):
            body_id = take(1)[0].split(" ", 1)[0]
            num_joints = number()
            if num_joints != 25:
                raise InputError(f"{path}, line {position}: expected 25 joints, not {num_joints}.")
            joints = bodies.setdefault(body_id, np.zeros((num_frames, 25, 3), dtype=np.float32))
            try:
                joints[frame] = np.array([line.split(None, 3)[:3] for line in take(25)], np.float32).reshape(25, 3)
            except ValueError:
                raise InputError(f"{path}, lines {position - 24} to {position}: expected joints.") from None
    return PoseRecord(
        path.name.split(".")[0],
        parts["action"] - 1,
        num_frames,
        np.stack(list(bodies.values())) if bodies else np.zeros((0, num_frames, 25, 3), dtype=np.float32),
        extra={**parts, "body_ids": tuple(bodies)},
    )


# of the denoising that goes round with networks for NTU RGB+D
_FEW_FRAMES = 11
_WIDE, _WIDE_FRAMES = 0.8, 0.69754


def denoise_bodies(keypoints: np.ndarray, max_bodies: int = 2) -> np.ndarray:
    """The bodies (M, T, 25, 3) of an NTU RGB+D file as persons: (1 or ``max_bodies``, T', 25, 3).

    Furniture is taken for bodies too. Where there are several, those go that are seen in 11 frames or fewer, then those
    wider than 0.8 of their height in most frames; the last one always stays. A person who is lost for a moment comes
    back as another body: those that move most first (the sum of the coordinates' variances), each body goes on with the
    first person whose time it does not overlap, and is left out where there is none. Frames without anybody are too.
    """

    def seen(body: np.ndarray) -> np.ndarray:
        return body[(body != 0).any((1, 2))]

    def wide(body: np.ndarray) -> np.ndarray:
        """Of each frame in which it is seen."""
        width, height = (np.ptp(seen(body)[..., i], 1) for i in range(2))
        return width > _WIDE * height

    def moving(body: np.ndarray) -> float:
        parts = seen(body), seen(body)[~wide(body)]
        return min(float(part.var((0, 1)).sum()) for part in parts if len(part))

    def keep(bodies: list[np.ndarray], test: Callable[[np.ndarray], bool]) -> list[np.ndarray]:
        if len(bodies) < 2:
            return bodies
        return [body for body in bodies if test(body)] or bodies[:1]

    bodies = sorted((body for body in keypoints if len(seen(body))), key=moving, reverse=True)
    bodies = keep(bodies, lambda body: len(seen(body)) > _FEW_FRAMES)
    bodies = keep(bodies, lambda body: wide(body).mean() <= _WIDE_FRAMES)
    if not bodies:
        return keypoints[:0]
    persons = np.zeros((1 if len(bodies) == 1 else max_bodies, *keypoints.shape[1:]), keypoints.dtype)
    spans: list[tuple[int, int]] = []  # first and last frame of each person so far
    for body in bodies:
        times = np.flatnonzero((body != 0).any((1, 2)))
        first, last = int(times[0]), int(times[-1])
        # where they meet in a single frame, it is still a person who comes back
        free = next((i for i, (a, b) in enumerate(spans) if min(b, last) <= max(a, first)), len(spans))
        if free == max_bodies:
            continue
        persons[free, times] = body[times]
        a, b = spans[free] if free < len(spans) else (first, last)
        spans[free : free + 1] = [(min(a, first), max(b, last))]
    return persons[:, (persons != 0).any((0, 2, 3))]


def parse_ntu_raw(root: Path, split: str, *, num_classes: int = 60, denoise: bool = True) -> Parsed:
    """NTU RGB+D from its ``.skeleton`` files in any folder under ``root``; all are read, which takes minutes.

    With ``denoise`` only two persons are left of the bodies, see :func:`denoise_bodies`. ``split`` is the protocol and
    the part, such as "xsub_train". Samples that the authors list as without a skeleton are left out; a file without any
    body gives a record that cannot be read, as an unreadable video.

    Raises:
        InputError: there are no such files, or one is malformed.
        UnknownNameError: no such protocol.
    """
    protocol, _, part = split.partition("_")
    paths = {path.name.split(".")[0]: path for path in sorted(root.rglob("*.skeleton"))}
    if not paths:
        raise InputError(f"there is no .skeleton file in {root}; unpack the data set there.")
    records = [
        read_ntu_skeleton(path)
        for name, path in paths.items()
        if name not in ntu_missing()
        and ntu_parts(name)["action"] <= num_classes
        and ntu_split(name, protocol, num_classes) == part
    ]
    if denoise:
        records = [_denoised(record) for record in records]
    return Parsed(records, read_labels(f"ntu{num_classes}"))


def _denoised(record: PoseRecord) -> PoseRecord:
    keypoints = denoise_bodies(record.keypoints)
    return replace(record, keypoints=keypoints, num_frames=keypoints.shape[1])


def _read_mat(path: Path, *keys: str) -> list[Any]:
    """Variables of a MATLAB 5 file."""
    try:
        from scipy.io import loadmat
    except ImportError:
        raise InputError("reading .mat files needs SciPy: pip install 'vidhub[skeleton]'.") from None
    try:
        content = loadmat(path, squeeze_me=True, variable_names=keys)
    except Exception as error:  # SciPy raises whatever it meets in a damaged file
        raise InputError(f"{path} is not a readable MATLAB 5 file ({error}); get it again.") from None
    if missing := [key for key in keys if key not in content]:
        raise InputError(f"{path} has no variable {', '.join(missing)}.")
    return [content[key] for key in keys]


def _mat_files(folder: Path) -> Iterator[Path]:
    paths = sorted(folder.glob("*.mat"))
    if not paths:
        raise InputError(f"there is no .mat file in {folder}; unpack the data set there.")
    yield from paths


def parse_utd_mhad(root: Path, split: str) -> Parsed:
    """UTD-MHAD: files ``aA_sS_tT_skeleton.mat``, in ``root`` or ``root/Skeleton``.

    Subjects with odd numbers are for "train", the others for "test", as in the data set's paper. ``keypoints`` is
    (1, frames, 20, 3) in metres.

    Raises:
        InputError: there are no files, or one has another name or content; or SciPy is not installed.
    """
    records = []
    for path in _mat_files(root / "Skeleton" if (root / "Skeleton").is_dir() else root):
        if not (match := re.fullmatch(r"a(\d+)_s(\d+)_t(\d+)_skeleton", path.stem)):
            raise InputError(f"{path} is not a file of UTD-MHAD; names look like a1_s1_t1_skeleton.mat.")
        action, subject, trial = map(int, match.groups())
        if ("train" if subject % 2 else "test") != split:
            continue
        (joints,) = _read_mat(path, "d_skel")
        if joints.ndim != 3 or joints.shape[:2] != (20, 3):
            raise InputError(f"{path}: d_skel must be (20, 3, frames), not {joints.shape}.")
        keypoints = joints.transpose(2, 0, 1)[None].astype(np.float32)
        extra = {"subject": subject, "trial": trial}
        records.append(PoseRecord(path.stem, action - 1, joints.shape[2], keypoints, extra=extra))
    return Parsed(records, read_labels("utd_mhad"))


def parse_penn_action(root: Path, split: str) -> Parsed:
    """Penn Action: ``labels/0001.mat`` and so on, with 13 joints of one person.

    ``keypoints`` is (1, frames, 13, 2) in pixels and ``scores`` the visibility, 0 or 1. Hidden joints have a guessed
    place; those that the files put into the picture's corner have none and become zeros. ``extra`` has "boxes",
    float32 (frames, 4) x1, y1, x2, y2, and the "pose" the person is seen from. In two files the last frame has no box.

    Raises:
        InputError: there are no files, or one is malformed; or SciPy is not installed.
    """
    classes = read_labels("penn_action")
    records = []
    for path in _mat_files(root / "labels"):
        keys = ("action", "pose", "x", "y", "visibility", "train", "bbox", "dimensions", "nframes")
        action, pose, x, y, visibility, train, boxes, size, num_frames = _read_mat(path, *keys)
        if ("train" if train == 1 else "test") != split:
            continue
        if str(action) not in classes:
            raise InputError(f"{path}: {unknown_name('class', str(action), classes)}")
        if x.shape != (num_frames, 13) or y.shape != x.shape or visibility.shape != x.shape:
            raise InputError(f"{path}: expected 13 joints in each of {num_frames} frames, not {x.shape}.")
        keypoints = np.stack([x, y], axis=-1)[None].astype(np.float32)
        keypoints[(keypoints <= 2).all(-1) & (visibility[None] == 0)] = 0
        records.append(
            PoseRecord(
                path.stem,
                classes.index(str(action)),
                int(num_frames),
                keypoints,
                visibility[None].astype(np.float32),
                (int(size[0]), int(size[1])),
                {"boxes": boxes.astype(np.float32), "pose": str(pose)},
            )
        )
    return Parsed(records, classes)


_NTU_TERMS = "for research, after registration: https://rose1.ntu.edu.sg/dataset/actionRecognition/"
_NTU_COUNTS = {
    60: {"xsub_train": 40091, "xsub_val": 16487, "xview_train": 37646, "xview_val": 18932},
    120: {"xsub_train": 63026, "xsub_val": 50919, "xset_train": 54468, "xset_val": 59477},
}
_NTU_PAPERS = {60: "https://arxiv.org/abs/1604.02808", 120: "https://arxiv.org/abs/1905.04757"}


def _poses(
    name: str,
    title: str,
    files: tuple[str, str],
    splits: tuple[str, ...],
    num_classes: int,
    terms: str,
    paper: str,
    **more: Any,
) -> DatasetInfo:
    """A data set in the common format; ``files`` are its names as published with MMAction2 and with PYSKL."""
    return DatasetInfo(
        name=name,
        title=title,
        task="skeleton",
        parse=parse_poses,
        splits=splits,
        homepage="https://github.com/kennymckormick/pyskl/blob/main/tools/data/README.md",
        license=terms,
        layout=" or ".join(files) + more.pop("layout", ""),
        num_classes=num_classes,
        paper=paper,
        counts=more.pop("counts", {}),
        options={"annotation": files, **more},
    )


DATASETS = (
    *(
        _poses(
            f"ntu{n}_{d}d",
            f"NTU RGB+D {n}, {d}D skeletons",
            (f"ntu{n}_{d}d.pkl", f"ntu{n}_{'hrnet' if d == 2 else '3danno'}.pkl"),
            tuple(_NTU_COUNTS[n]),
            n,
            _NTU_TERMS,
            _NTU_PAPERS[n],
            counts=_NTU_COUNTS[n],
            label_set=f"ntu{n}",
        )
        for n in (60, 120)
        for d in (2, 3)
    ),
    *(
        DatasetInfo(
            name=f"ntu{n}_raw",
            title=f"NTU RGB+D {n}, .skeleton files",
            task="skeleton",
            parse=parse_ntu_raw,
            splits=tuple(_NTU_COUNTS[n]),
            homepage="https://rose1.ntu.edu.sg/dataset/actionRecognition/",
            license=_NTU_TERMS,
            layout="S001C001P001R001A001.skeleton and so on, in any folder",
            num_classes=n,
            paper=_NTU_PAPERS[n],
            counts=_NTU_COUNTS[n],
            options={"num_classes": n},
        )
        for n in (60, 120)
    ),
    _poses(
        "kinetics400_2d",
        "Kinetics-400, 2D skeletons",
        ("k400_2d.pkl", "k400_hrnet.pkl"),
        ("train", "val"),
        400,
        "annotations CC-BY-4.0; the videos belong to the uploaders",
        "https://arxiv.org/abs/1705.06950",
        label_set="kinetics400",
        layout=": a table of contents\nkpfiles/: the skeletons, in one file for each video or for many",
    ),
    _poses(
        "ucf101_2d",
        "UCF101, 2D skeletons",
        ("ucf101_2d.pkl", "ucf101_hrnet.pkl"),
        ("train1", "test1", "train2", "test2", "train3", "test3"),
        101,
        "for research; the videos belong to the uploaders",
        "https://arxiv.org/abs/1212.0402",
        label_set="ucf101",
    ),
    _poses(
        "hmdb51_2d",
        "HMDB51, 2D skeletons",
        ("hmdb51_2d.pkl", "hmdb51_hrnet.pkl"),
        ("train1", "test1", "train2", "test2", "train3", "test3"),
        51,
        "CC-BY-4.0",
        "https://doi.org/10.1109/ICCV.2011.6126543",
        label_set="hmdb51",
    ),
    _poses(
        "gym_2d",
        "FineGYM, 2D skeletons",
        ("gym_2d.pkl", "gym_hrnet.pkl"),
        ("train", "val"),
        99,
        "CC-BY-NC-4.0",
        "https://arxiv.org/abs/2004.06704",
        label_set="gym99",
    ),
    _poses(
        "diving48_2d",
        "Diving48, 2D skeletons",
        ("diving48_2d.pkl", "diving48_hrnet.pkl"),
        ("train", "test"),
        48,
        "for research; the videos belong to the uploaders",
        "https://openaccess.thecvf.com/content_ECCV_2018/html/Yingwei_Li_RESOUND_Towards_Action_ECCV_2018_paper.html",
        label_set="diving48",
    ),
    DatasetInfo(
        name="utd_mhad",
        title="UTD-MHAD",
        task="skeleton",
        parse=parse_utd_mhad,
        splits=("train", "test"),
        homepage="https://personal.utdallas.edu/~kehtar/UTD-MHAD.html",
        license="for research, with citation",
        layout="Skeleton/a1_s1_t1_skeleton.mat and so on, or without the folder",
        num_classes=27,
        paper="https://doi.org/10.1109/ICIP.2015.7350781",
        counts={"train": 431, "test": 430},
    ),
    DatasetInfo(
        name="penn_action",
        title="Penn Action",
        task="skeleton",
        parse=parse_penn_action,
        splits=("train", "test"),
        homepage="http://dreamdragon.github.io/PennAction/",
        license="for research, with citation",
        layout="labels/0001.mat and so on",
        num_classes=15,
        paper="https://openaccess.thecvf.com/content_iccv_2013/html/Zhang_From_Actemes_to_2013_ICCV_paper.html",
        counts={"train": 1258, "test": 1068},
    ),
    DatasetInfo(
        name="poses",
        title="skeletons of one's own",
        task="skeleton",
        parse=parse_poses,
        splits=("train", "val", "test"),
        homepage="",
        license="",
        layout="poses.pkl, or another .pkl file if it is the only one: the common format, with any splits or none",
        num_classes=0,
        own_splits=True,
        options={"annotation": ("poses.pkl", "*.pkl")},
    ),
)
