"""Untrimmed videos with the segments in which something happens."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, unknown_name
from ..weights.types import read_labels
from .annotation_files import read_json, read_lines
from .info import DatasetInfo, Parsed
from .records import SegmentsRecord


def read_segments(
    path: str | Path,
    *,
    folder: str | Path = "",
    file_name: str = "{}.csv",
    subset: str | None = None,
    strict: bool = True,
    leave_out: Collection[str] = (),
) -> list[SegmentsRecord]:
    """The records of a JSON file of segments, in file order.

    Three layouts are read: ``{"database": {video: {...}}}`` of ActivityNet, HACS and THUMOS14, ``{video: {...}}`` of
    BMN and MMAction2, and the latter with segments counted in feature frames (no ``duration_second``), where a second
    in the record is a feature frame. Videos without segments are kept.

    Args:
        folder: of the features or videos.
        file_name: there, with {} for the video; gives ``record.path``.
        subset: only videos whose "subset" is this, whatever its case.
        strict: False takes videos without a "subset" too.
        leave_out: classes whose segments are dropped.

    Raises:
        InputError: the file is missing or malformed; with the video and the value.

    ``record.duration`` is NaN where the file does not state it (THUMOS14).
    """
    content = read_json(path)
    videos = content.get("database", content) if isinstance(content, dict) else None
    if not isinstance(videos, dict):
        raise InputError(f"{path} must hold an object with one entry a video, not {type(content).__name__}.")
    records = []
    for video_id, video in videos.items():
        if not isinstance(video, dict):
            raise InputError(f"{path}: video {video_id!r} must be an object, not {video!r}.")
        own = str(video.get("subset") or "").lower()
        if subset is None or own == subset.lower() or not (own or strict):
            file = Path(folder, file_name.format(video_id))
            records.append(_segments_record(f"{path}: video {video_id!r}", video_id, video, str(file), leave_out))
    if subset is not None and videos and not records:
        known = sorted({str(v.get("subset")) for v in videos.values()})
        raise InputError(f"{path} has no video of subset {subset!r}; it has {', '.join(known)}.")
    return records


def _segments_record(
    where: str, video_id: str, video: dict[str, Any], path: str, leave_out: Collection[str]
) -> SegmentsRecord:
    num_frames = _number(where, video, "duration_frame")
    fps = _number(where, video, "fps")
    duration = _number(where, video, "duration_second", "duration")
    if duration is None and num_frames is not None:
        duration, fps = num_frames, 1.0  # segments are in feature frames, see read_segments
    segments, labels = [], []
    annotations = video.get("annotations", [])
    if not isinstance(annotations, list):
        raise InputError(f"{where}: annotations must be a list of segments, not {json.dumps(annotations)}.")
    for annotation in annotations:
        try:
            start, end = map(float, annotation["segment"])
            label = annotation["label"]
            if not isinstance(label, (str, int)):
                raise TypeError
        except (KeyError, TypeError, ValueError):
            raise InputError(
                f'{where}: expected {{"segment": [start, end], "label": NAME}}, not {json.dumps(annotation)}.'
            ) from None
        label = str(label)
        _check_order(where, start, end)
        if label not in leave_out:
            segments.append((start, end))
            labels.append(label)
    feature_frames = _number(where, video, "feature_frame")
    return SegmentsRecord(
        video_id,
        path,
        math.nan if duration is None else duration,
        np.array(segments, dtype=np.float64).reshape(-1, 2),
        tuple(labels),
        fps=fps,
        num_frames=None if num_frames is None else int(num_frames),
        feature_frames=None if feature_frames is None else int(feature_frames),
    )


def _number(where: str, video: dict[str, Any], *keys: str) -> float | None:
    """The first of ``keys`` that the video has."""
    for key in keys:
        if video.get(key) is not None:
            try:
                value = float(video[key])
            except (TypeError, ValueError):
                value = math.nan
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"{where}: {key} must be a number from 0, not {video[key]!r}.")
            return value
    return None


def _check_order(where: str, start: float, end: float) -> None:
    if not (math.isfinite(start) and math.isfinite(end) and start <= end):
        raise InputError(f"{where}: a segment must not end before it starts, but this one is {start} to {end}.")


def _check_labels(path: Path, records: Iterable[SegmentsRecord], classes: Collection[str]) -> None:
    for record in records:
        if unknown := set(record.labels) - set(classes):
            raise InputError(f"{path}: video {record.video_id!r} has the unknown class {min(unknown)!r}.")


def parse_segments(
    root: Path,
    split: str,
    *,
    annotation: str,
    label_set: str,
    subsets: dict[str, str] | None = None,
    folder: str = "features",
    file_name: str = "{}.csv",
) -> Parsed:
    """:func:`read_segments` of the file ``annotation`` under ``root``; "{split}" in its name is filled in.

    Args:
        label_set: the class names; a segment of another class is an error.
        subsets: what the file calls each split, if it has several.

    Raises:
        UnknownNameError: no such split.
    """
    if subsets and split not in subsets:
        raise unknown_name("split", split, subsets)
    path = root / annotation.format(split=split)
    shorter = path.with_suffix(".min.json")  # as ActivityNet's is often passed on
    path = shorter if shorter.is_file() and not path.exists() else path
    subset = subsets[split] if subsets else None
    records = read_segments(path, folder=root / folder, file_name=file_name, subset=subset)
    classes = read_labels(label_set)
    _check_labels(path, records, classes)
    return Parsed(records, classes)


def read_class_segments(
    folder: str | Path,
    suffix: str,
    *,
    classes: Collection[str] | None = None,
    videos: str | Path = "",
    file_name: str = "{}.mp4",
    leave_ambiguous: bool = True,
) -> list[SegmentsRecord]:
    """The records of THUMOS14's own annotation: a text file a class, with a line ``video start end`` a segment.

    Args:
        folder: holds ``CLASS_SUFFIX.txt``, also in folders below.
        suffix: "val" or "test".
        classes: only files of these are read; None: all.
        videos: their folder.
        file_name: there, with {} for the video; gives ``record.path``.
        leave_ambiguous: leave out segments of the class "Ambiguous", which are no action and not background either.

    Raises:
        InputError: there are no files, or a line is malformed; with its number.

    Records are in the order of the video names and segments in that of their start. Durations are NaN: not stated.
    """
    files = {path: path.name.removesuffix(f"_{suffix}.txt") for path in sorted(Path(folder).rglob(f"*_{suffix}.txt"))}
    files = {path: label for path, label in files.items() if classes is None or label in classes}
    if not files:
        raise InputError(f"there is no file CLASS_{suffix}.txt in {folder}; unpack the annotation of THUMOS14 there.")
    found: dict[str, list[tuple[float, float, str]]] = {}
    for path, label in files.items():
        for number, line in read_lines(path):
            where = f"{path}, line {number}"
            try:
                video_id, start, end = line.split()
                segment = float(start), float(end)
            except ValueError:
                raise InputError(f"{where}: expected 'video start end', not {line!r}.") from None
            _check_order(where, *segment)
            segments = found.setdefault(video_id, [])  # a video stays even if all it has is ambiguous
            if not (leave_ambiguous and label == "Ambiguous"):
                segments.append((*segment, label))
    records = []
    for video_id, segments in sorted(found.items()):
        segments.sort()
        records.append(
            SegmentsRecord(
                video_id,
                str(Path(videos, file_name.format(video_id))),
                math.nan,
                np.array([s[:2] for s in segments], dtype=np.float64).reshape(-1, 2),
                tuple(label for _, _, label in segments),
            )
        )
    return records


def read_class_list(path: str | Path) -> dict[int, str]:
    """Numbers and names of a list such as THUMOS14's ``detclasslist.txt``: a line ``number name`` a class.

    Raises:
        InputError: the file is missing or a line is malformed; with its number.
    """
    classes = {}
    for number, line in read_lines(path):
        index, _, name = line.partition(" ")
        if not index.isdecimal() or not name.strip():
            raise InputError(f"{path}, line {number}: expected 'number name', not {line!r}.")
        classes[int(index)] = name.strip()
    return classes


def parse_thumos14(
    root: Path, split: str, *, folder: str = "videos", file_name: str = "{}.mp4", leave_ambiguous: bool = True
) -> Parsed:
    """THUMOS14 from ``thumos14.json`` or, where there is none, the official folders of text files.

    Splits are "val", on which networks are trained, and "test". Classes are those of ``detclasslist.txt`` in its order
    if it is there; "Ambiguous" comes last when it is not left out.
    """
    lists = sorted(root.rglob("detclasslist.txt"))
    classes = tuple(read_class_list(lists[0]).values()) if lists else read_labels("thumos14")
    classes = tuple(name for name in classes if name != "Ambiguous")
    jsons = [path for name in ("thumos14.json", "thumos14_gt.json") if (path := root / name).is_file()]
    if jsons:
        leave_out = ("Ambiguous",) if leave_ambiguous else ()
        every = read_segments(jsons[0], folder=root / folder, file_name=file_name, leave_out=leave_out)
        # ActionFormer's file calls the videos for training "Validation", others "training"
        records = [record for record in every if ("video_test" in record.video_id) == (split == "test")]
    else:
        records = read_class_segments(
            root,
            split,
            classes=(*classes, "Ambiguous"),  # lists of proposals may be called like this too
            videos=root / folder,
            file_name=file_name,
            leave_ambiguous=leave_ambiguous,
        )
    classes = classes if leave_ambiguous else (*classes, "Ambiguous")
    _check_labels(jsons[0] if jsons else root, records, classes)
    return Parsed(records, classes)


def parse_salads50(root: Path, split: str, *, fold: int = 1, leave_background: bool = True) -> Parsed:
    """50 Salads as ``annotations.json`` and ``features/VIDEO.npy`` (frames, channels), segments in feature frames.

    Args:
        fold: 1 to 5, the part for "test"; "train" is the others.
        leave_background: leave out segments of class 0, which is no action.

    A second in the records is a feature frame. The file numbers the classes, so their names are the numbers.

    Raises:
        InputError: the file is malformed, or has no such fold.
    """
    path = root / "annotations.json"
    leave_out = ("0",) if leave_background else ()
    records = read_segments(path, folder=root / "features", file_name="{}.npy", leave_out=leave_out)
    folds = {video_id: video.get("fold") for video_id, video in read_json(path).items()}
    if fold not in folds.values():
        raise InputError(f"{path} has no fold {fold!r}; it has {', '.join(sorted(map(str, set(folds.values()))))}.")
    classes = sorted({label for record in records for label in record.labels}, key=int)
    chosen = [record for record in records if (folds[record.video_id] == fold) == (split == "test")]
    return Parsed(chosen, tuple(classes))


def parse_own_segments(
    root: Path, split: str, *, annotation: str = "annotations.json", folder: str = "features", file_name: str = ""
) -> Parsed:
    """A JSON file of one's own in any layout of :func:`read_segments`, and a folder of features or videos.

    Videos that have a "subset" belong to that split, others to all. Classes are in the order of their names.

    Args:
        file_name: in ``folder``, with {} for the video; "": ``.npy``, or ``.h5`` or ``.csv`` where that is there.
    """
    path = root / annotation
    names = [file_name] if file_name else ["{}.npy", "{}.h5", "{}.hdf5", "{}.csv"]
    records = read_segments(path, folder=root / folder, file_name=names[0], subset=split, strict=False)
    for name in names[1:]:
        other = [str(root / folder / name.format(record.video_id)) for record in records]
        records = [
            replace(r, path=path) if not os.path.exists(r.path) and os.path.exists(path) else r
            for r, path in zip(records, other, strict=True)
        ]
    classes = {label for record in read_segments(path) for label in record.labels}
    return Parsed(records, tuple(sorted(classes)))


DATASETS = (
    DatasetInfo(
        name="segments",
        title="Segments of one's own",
        task="localization",
        parse=parse_own_segments,
        splits=("train", "val", "test"),
        homepage="",
        license="",
        num_classes=0,
        layout='annotations.json: {video: {"duration_second", "subset", "annotations": [{"segment", "label"}]}}\n'
        "features/VIDEO.npy: (steps, channels), as vidhub extract writes them",
    ),
    DatasetInfo(
        name="activitynet",
        title="ActivityNet 1.3",
        task="localization",
        parse=parse_segments,
        splits=("train", "val", "test"),
        homepage="http://activity-net.org",
        license="annotations MIT; the videos belong to the uploaders",
        layout="activity_net.v1-3.json, or activity_net.v1-3.min.json: the official annotation\nvideos/v_VIDEO.mp4",
        num_classes=200,
        paper="https://openaccess.thecvf.com/content_cvpr_2015/html/Heilbron_ActivityNet_A_Large-Scale_2015_CVPR_paper.html",
        counts={"train": 10024, "val": 4926, "test": 5044},
        options={
            "annotation": "activity_net.v1-3.json",
            "subsets": {"train": "training", "val": "validation", "test": "testing"},
            "label_set": "activitynet",
            "folder": "videos",
            "file_name": "v_{}.mp4",
        },
    ),
    DatasetInfo(
        name="activitynet_features",
        title="ActivityNet 1.3 features",
        task="localization",
        parse=parse_segments,
        splits=("train", "val", "full"),
        homepage="https://github.com/JJBOY/BMN-Boundary-Matching-Network",
        license="annotations MIT; the videos belong to the uploaders",
        layout="anet_anno_{split}.json: BMN's annotation\n"
        "activitynet_feature_cuhk/csv_mean_100/VIDEO.csv: 100 features of 400 numbers, with a header line",
        num_classes=200,
        paper="https://arxiv.org/abs/1907.09702",
        options={
            "annotation": "anet_anno_{split}.json",
            "label_set": "activitynet",
            "folder": "activitynet_feature_cuhk/csv_mean_100",
        },
    ),
    DatasetInfo(
        name="hacs_segments",
        title="HACS Segments",
        task="localization",
        parse=parse_segments,
        splits=("train", "val", "test"),
        homepage="http://hacs.csail.mit.edu",
        license="annotations for research; the videos belong to the uploaders",
        layout="HACS_segments_v1.1.1.json: the official annotation\nvideos/VIDEO.mp4",
        num_classes=200,
        paper="https://arxiv.org/abs/1712.09374",
        counts={"train": 37613, "val": 5981, "test": 5987},
        options={
            "annotation": "HACS_segments_v1.1.1.json",
            "subsets": {"train": "training", "val": "validation", "test": "testing"},
            "label_set": "activitynet",
            "folder": "videos",
            "file_name": "{}.mp4",
        },
    ),
    DatasetInfo(
        name="thumos14",
        title="THUMOS14",
        task="localization",
        parse=parse_thumos14,
        splits=("val", "test"),
        homepage="https://www.crcv.ucf.edu/THUMOS14/",
        license="for research; the videos belong to the uploaders",
        layout="thumos14.json, or the unpacked official annotation: annotation/CLASS_{split}.txt, in any folder\n"
        "detclasslist.txt: optional\nvideos/VIDEO.mp4",
        num_classes=20,
        paper="https://arxiv.org/abs/1604.06182",
        counts={"val": 200, "test": 213},
    ),
    DatasetInfo(
        name="salads50",
        title="50 Salads features",
        task="localization",
        parse=parse_salads50,
        splits=("train", "test"),
        homepage="https://cvip.computing.dundee.ac.uk/datasets/foodpreparation/50salads/",
        license="CC-BY-NC-SA-4.0",
        layout='annotations.json: {video: {"duration_frame", "fold", "annotations": [{"segment", "label"}]}}\n'
        "features/VIDEO.npy: (frames, channels)",
        num_classes=17,
        paper="https://doi.org/10.1145/2493432.2493482",
        counts={"train": 40, "test": 10},
    ),
)
