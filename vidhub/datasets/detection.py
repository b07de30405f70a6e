"""Key frames with labelled boxes of persons."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError, unknown_name
from ..weights.types import read_labels
from .annotation_files import existing, read_json, read_lines, read_pickle
from .info import DatasetInfo, Parsed
from .records import BoxesRecord

AVA_SECONDS = (900.0, 1800.0)  # every AVA video is annotated in its minutes 15 to 30
AVA_FPS = 30  # of the frame images
AVA_CLASSES = ("background", *read_labels("ava"))  # numbered from 1 as in the files, 0 is no class

FrameBoxes = dict[tuple[float, ...], tuple[int, list[int]]]  # box: (person, classes)
AvaFrames = dict[tuple[str, int], FrameBoxes]  # (video, second): its boxes


class Proposals(NamedTuple):
    """Boxes of a person detector by key frame."""

    frames: dict[str, np.ndarray]  # "video,0902": (P, 4) boxes, or (P, 5) with their score
    min_score: float
    max_boxes: int

    def select(self, key: str) -> tuple[np.ndarray, np.ndarray | None]:
        """float32 boxes (P, 4) and scores (P,) of a key frame, or None where the file has no scores.

        Kept are boxes that score ``min_score``, or as much as the best one if none does, in stored order. A frame that
        is not in the file gets the whole picture as its one box, with score 1.
        """
        rows = self.frames.get(key)
        if rows is None:
            return np.array([[0, 0, 1, 1]], dtype=np.float32), np.ones(1, dtype=np.float32)
        if rows.shape[1] == 4:
            return rows[: self.max_boxes].astype(np.float32), None
        rows = rows[rows[:, 4] >= min(self.min_score, rows[:, 4].max(initial=-np.inf))][: self.max_boxes]
        return rows[:, :4].astype(np.float32), rows[:, 4].astype(np.float32)


def read_proposals(path: str | Path, *, min_score: float = 0.9, max_boxes: int = 1000) -> Proposals:
    """The boxes of a pickle ``{"video,0902": array (P, 5)}``: x1, y1, x2, y2 as fractions and the score, or (P, 4).

    Args:
        min_score: see :meth:`Proposals.select`; 0.9 is what MMAction2's networks were trained and tested with.
        max_boxes: at most so many a frame, the first ones.

    Raises:
        InputError: the file is missing or malformed, or ``min_score`` is not in [0, 1].
    """
    if not 0 <= min_score <= 1:
        raise InputError(f"min_score must be from 0 to 1, not {min_score!r}.")
    content = read_pickle(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} must hold a dictionary of arrays, not {type(content).__name__}.")
    for key, rows in content.items():
        if not (isinstance(rows, np.ndarray) and rows.ndim == 2 and rows.shape[1] in (4, 5)):
            shape = getattr(rows, "shape", type(rows).__name__)
            raise InputError(f"{path}: {key!r} must be an array of 4 or 5 columns, not {shape}.")
    return Proposals(content, min_score, max_boxes)


def read_label_map(path: str | Path) -> dict[int, str]:
    """Class numbers and names of a label map in text form: ``item { name: "stand" id: 12 }`` blocks, in file order.

    Raises:
        InputError: the file is missing, or an item lacks its name or number; with the line.
    """
    classes: dict[int, str] = {}
    item: dict[str, str] = {}
    for number, line in read_lines(path):
        for token in _LABEL_MAP_TOKEN.finditer(line):
            if key := token["key"]:
                item["name" if key == "name" else "id"] = token["value"].strip("\"'")
                continue
            if not item.get("name") or not item.get("id", "").isdecimal():
                raise InputError(
                    f"{path}, line {number}: an item needs a name and a number as id, this one has {item}."
                )
            classes[int(item["id"])] = item["name"]
            item = {}
    if item or not classes:
        raise InputError(f"{path} ends inside an item or has none; get it again.")
    return classes


# a field, or the end of an item; AVA's own files say label_id
_LABEL_MAP_TOKEN = re.compile(r"""\b(?P<key>name|id|label_id)\s*:\s*(?P<value>"[^"]*"|'[^']*'|\w+)|\}""")


def read_excluded(path: str | Path) -> set[tuple[str, int]]:
    """The (video, second) pairs of a CSV file of key frames to leave out.

    Raises:
        InputError: the file is missing or a line is malformed; with its number.
    """
    pairs = set()
    for number, line in read_lines(path):
        video_id, _, second = line.partition(",")
        if not second.strip().isdecimal():
            raise InputError(f"{path}, line {number}: expected 'video,second', not {line!r}.")
        pairs.add((video_id, int(second)))
    return pairs


def read_ava_rows(
    path: str | Path,
    *,
    excluded: Collection[tuple[str, int]] = (),
    num_classes: int | None = None,
    custom_classes: Sequence[int] | None = None,
    label_map: dict[int, str] | None = None,
    first_class: int = 1,
) -> AvaFrames:
    """What an AVA CSV file says of each key frame (video, second), in order of appearance.

    A row is ``video,second,x1,y1,x2,y2,class,person`` with the corners as fractions. Rows of the same box, each with
    a class, are put together. A row with nothing after the second is a key frame without persons and gives nothing.

    Args:
        excluded: (video, second) pairs to leave out, see :func:`read_excluded`.
        num_classes: classes are from 1 to this less one; None for 81, or as many as there are custom classes and one.
        custom_classes: keep only these, numbered from 1 in this order.
        label_map: if given, custom classes must be in it.
        first_class: the lowest class; MMAction2's files of MultiSports count from 0.

    Raises:
        InputError: the file is missing or a row is malformed, with its line; or the custom classes do not fit.
    """
    numbers = {c: c for c in range(first_class, num_classes or len(AVA_CLASSES))}
    if custom_classes is not None:
        numbers = _custom_numbers(custom_classes, num_classes, label_map)
    frames: AvaFrames = {}
    for number, line in read_lines(path):
        fields = line.split(",")
        try:
            video_id, second, x1, y1, x2, y2, label, person = fields
            key, box = (video_id, int(second)), (float(x1), float(y1), float(x2), float(y2))
            label, person = int(label), int(person)
        except ValueError:
            if len(fields) > 1 and fields[1].isdecimal() and not any(fields[2:]):
                continue
            raise InputError(
                f"{path}, line {number}: expected 'video,second,x1,y1,x2,y2,class,person', not {line!r}."
            ) from None
        if not (box[0] <= box[2] and box[1] <= box[3]):
            raise InputError(f"{path}, line {number}: the box {box} must have x1 <= x2 and y1 <= y2.")
        if label in numbers:
            if key not in excluded:
                _, labels = frames.setdefault(key, {}).setdefault(box, (person, []))
                if numbers[label] not in labels:
                    labels.append(numbers[label])
        elif custom_classes is None:
            raise InputError(f"{path}, line {number}: class {label} is not from {min(numbers)} to {max(numbers)}.")
    return frames


def _custom_numbers(
    custom_classes: Sequence[int], num_classes: int | None, label_map: dict[int, str] | None
) -> dict[int, int]:
    """The number in the records of every class in the file that is kept."""
    if num_classes not in (None, len(custom_classes) + 1):
        needed = len(custom_classes) + 1
        raise InputError(f"{len(custom_classes)} custom classes need num_classes={needed}, not {num_classes}.")
    if label_map is not None and (unknown := set(custom_classes) - set(label_map)):
        raise InputError(f"the label map has no class {min(unknown)}; choose custom_classes from its numbers.")
    return {c: i for i, c in enumerate(custom_classes, 1)}


def ava_records(
    frames: AvaFrames,
    *,
    folder: str | Path = "",
    proposals: Proposals | None = None,
    seconds: tuple[float, float | None] = AVA_SECONDS,
    fps: int | None = AVA_FPS,
) -> list[BoxesRecord]:
    """A record for each key frame of :func:`read_ava_rows`.

    Args:
        folder: ``record.path`` is ``folder/video``.
        proposals: see :func:`read_proposals`.
        seconds: what the frames or videos show, first and last second; None for the end of the video.
        fps: of frame images; None for video files, where records have no ``shot``.
    """
    shot = None if fps is None else (0, int((seconds[1] - seconds[0]) * fps))
    return [
        _record(key, boxes, folder, seconds, shot, proposals and proposals.select(f"{key[0]},{key[1]:04d}"))
        for key, boxes in frames.items()
    ]


def ava_kinetics_records(
    frames: AvaFrames,
    *,
    folder: str | Path = "",
    proposals: Proposals | None = None,
    fps: int | None = AVA_FPS,
    shot_of: str | None = None,
) -> list[BoxesRecord]:
    """:func:`ava_records` for AVA-Kinetics, where videos differ in length.

    A video of Kinetics is called ``NAME_START_END`` and carries its own first and last second; names of AVA's videos
    have eleven characters. Proposals of the former are looked up as "NAME,0902".

    Args:
        folder, proposals, fps: see there.
        shot_of: the video whose frame numbers limit the clips of every record, instead of each its own. MMAction2
            trained with those of the file's last row, see :func:`last_video`.

    Raises:
        InputError: a video's name is neither of the two.
    """
    records = []
    for (video_id, second), boxes in frames.items():
        name, seconds = _kinetics_seconds(video_id)
        first, last = seconds if shot_of is None else _kinetics_seconds(shot_of)[1]
        shot = None if fps is None else (1, int((last - first) * fps) + 1)
        chosen = proposals and proposals.select(f"{name},{second:04d}")
        records.append(_record((video_id, second), boxes, folder, seconds, shot, chosen))
    return records


def last_video(path: str | Path, custom_classes: Sequence[int] | None = None) -> str:
    """The video of the last row of an AVA CSV file, of those with custom classes if given; "" where there is none."""
    last = ""
    for _, line in read_lines(path):
        fields = line.split(",")
        if len(fields) == 8 and (custom_classes is None or int(fields[6]) in custom_classes):
            last = fields[0]
    return last


def _kinetics_seconds(video_id: str) -> tuple[str, tuple[float, float]]:
    """The bare name of a video of AVA-Kinetics, and its first and last second."""
    if len(video_id) == 11:
        return video_id, AVA_SECONDS
    try:
        name, start, end = video_id.rsplit("_", 2)
        return name, (float(start), float(end))
    except ValueError:
        raise InputError(f"video {video_id!r} must have a name of 11 characters, or NAME_START_END.") from None


def _record(
    key: tuple[str, float],
    boxes: FrameBoxes,
    folder: str | Path,
    seconds: tuple[float, float | None] = (0.0, None),
    shot: tuple[int, int] | None = None,
    proposals: tuple[np.ndarray, np.ndarray | None] | None = None,
) -> BoxesRecord:
    video_id, time = key
    chosen, scores = proposals or (None, None)
    return BoxesRecord(
        video_id,
        str(Path(folder, video_id)),
        time,
        np.array(list(boxes), dtype=np.float32),
        tuple(tuple(labels) for _, labels in boxes.values()),
        tuple(person for person, _ in boxes.values()),
        chosen,
        scores,
        *seconds,
        shot,
    )


def parse_ava(
    root: Path,
    split: str,
    *,
    annotation: str = "ava_{split}_v2.1.csv",
    exclusion: str = "ava_{split}_excluded_timestamps_v2.1.csv",
    proposals: str | None = "ava_dense_proposals_{split}.FAIR.recall_93.9.pkl",
    min_score: float = 0.9,
    frames: bool = True,
    label_map: str | None = None,
    custom_classes: Sequence[int] | None = None,
    kinetics: bool = False,
    shot_of_last_row: bool = False,
) -> Parsed:
    """AVA and AVA-Kinetics: files of ``root/annotations``, with "{split}" in their names filled in.

    Args:
        proposals: left out if there is no such file, as are excluded key frames.
        min_score: of proposals, see :meth:`Proposals.select`.
        frames: frame images in ``rawframes/VIDEO/``; False for video files in ``videos/``, whatever their extension.
        label_map: a file like AVA's ``.pbtxt`` with the classes of a data set of one's own.
        custom_classes: keep only these, numbered from 1 in this order.
        kinetics, shot_of_last_row: see :func:`ava_kinetics_records`.

    Labels are AVA's own numbers, so the first class is "background", which no box has.
    """
    files = root / "annotations"
    path = files / annotation.format(split=split)
    exclude_file = files / exclusion.format(split=split)
    names = read_label_map(files / label_map) if label_map else dict(enumerate(AVA_CLASSES[1:], 1))
    rows = read_ava_rows(
        path,
        excluded=read_excluded(exclude_file) if exclude_file.is_file() else (),
        num_classes=max(names) + 1 if custom_classes is None else None,
        custom_classes=custom_classes,
        label_map=names,
    )
    proposal_file = files / (proposals or "").format(split=split)
    found = read_proposals(proposal_file, min_score=min_score) if proposal_file.is_file() else None
    folder, fps = (root / "rawframes", AVA_FPS) if frames else (root / "videos", None)
    if kinetics:
        shot_of = last_video(path, custom_classes) if shot_of_last_row else None
        records = ava_kinetics_records(rows, folder=folder, proposals=found, fps=fps, shot_of=shot_of)
    else:
        records = ava_records(rows, folder=folder, proposals=found, fps=fps)
    if not frames and folder.is_dir():
        extensions = {file.stem: file.suffix for file in folder.iterdir()}
        records = [replace(r, path=r.path + extensions.get(r.video_id, "")) for r in records]
    numbers = range(1, max(names) + 1) if custom_classes is None else custom_classes
    return Parsed(records, ("background", *(names.get(c, f"class {c}") for c in numbers)))


def read_tubes(
    path: str | Path, split: str, *, fold: int = 1, folder: str | Path = "", extension: str = "", pixels: bool = False
) -> Parsed:
    """A record for every annotated frame of a pickle of action tubes, as of UCF101-24, JHMDB and MultiSports.

    The file is a dictionary: "labels" (class names), "train_videos" and "test_videos" (a list of names for each fold),
    "nframes" and "resolution" (height, width) of each video, and "gttubes", {video: {class: [(n, 5) frame, x1, y1, x2,
    y2]}} with frames counted from 1 and corners in pixels (of the action tubelet detector, arXiv:1705.01861).

    Args:
        split: "train" or "test".
        fold: which of the official splits, from 1.
        folder: ``record.path`` is ``folder/video + extension``.
        pixels: leave the corners in pixels; else they are fractions of the picture.

    Returns:
        Records by video and frame. ``timestamp`` is the frame and ``first_second`` 1. ``entity_ids`` say which tube of
        its video each box belongs to.

    Raises:
        InputError: the file is missing or malformed, or has no such split.
    """
    content = read_pickle(path)
    try:
        classes, lengths, sizes = tuple(map(str, content["labels"])), content["nframes"], content["resolution"]
        tubes, folds = content["gttubes"], content.get(f"{split}_videos", ())
    except (TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path} is not a file of action tubes: it has no {error}.") from None
    if not 1 <= fold <= len(folds):
        raise InputError(f"{path} has no fold {fold} of split {split!r}; it has {len(folds)}.")
    records = []
    for video_id in folds[fold - 1]:
        where = f"{path}: video {video_id!r}"
        if not all(video_id in part for part in (tubes, lengths, sizes)):
            raise InputError(f"{where} needs tubes, a number of frames and a resolution.")
        labelled = [(int(label), np.asarray(tube)) for label, group in tubes[video_id].items() for tube in group]
        _check_tubes(where, labelled, len(classes), lengths[video_id])
        height, width = (1, 1) if pixels else sizes[video_id]
        scale = np.array([width, height, width, height], dtype=np.float32)
        location = str(Path(folder, video_id + extension))
        records += _tube_records(video_id, location, labelled, scale, int(lengths[video_id]))
    return Parsed(records, classes)


def _check_tubes(where: str, labelled: list[tuple[int, np.ndarray]], num_classes: int, num_frames: int) -> None:
    for label, tube in labelled:
        if not (0 <= label < num_classes and tube.ndim == 2 and tube.shape[1] == 5):
            raise InputError(
                f"{where}: expected classes below {num_classes} with (n, 5), not {label} with {tube.shape}."
            )
        if len(tube) and not (tube[:, 0].min() >= 1 and tube[:, 0].max() <= num_frames):
            raise InputError(f"{where}: the frames of a tube must be from 1 to {num_frames}.")


def _tube_records(
    video_id: str, path: str, labelled: list[tuple[int, np.ndarray]], scale: np.ndarray, num_frames: int
) -> Iterator[BoxesRecord]:
    if not labelled:
        return
    rows = np.concatenate([tube for _, tube in labelled])
    people = np.repeat(np.arange(len(labelled)), [len(tube) for _, tube in labelled])
    order = np.argsort(rows[:, 0], kind="stable")
    rows, people = rows[order], people[order]
    frames, starts = np.unique(rows[:, 0].astype(np.int64), return_index=True)
    boxes = np.split(rows[:, 1:].astype(np.float32) / scale, starts[1:])
    for frame, box, who in zip(frames.tolist(), boxes, np.split(people, starts[1:]), strict=True):
        yield BoxesRecord(
            video_id,
            path,
            frame,
            box,
            tuple((labelled[i][0],) for i in who),
            tuple(who.tolist()),
            first_second=1,
            last_second=num_frames,
            shot=(0, num_frames),
            in_frames=True,
        )


def parse_tubes(
    root: Path, split: str, *, annotation: str, folder: str, extension: str = "", fold: int = 1, pixels: bool = False
) -> Parsed:
    """:func:`read_tubes` of the file ``annotation`` under ``root``."""
    return read_tubes(root / annotation, split, fold=fold, folder=root / folder, extension=extension, pixels=pixels)


def parse_multisports(root: Path, split: str, *, min_score: float = 0.9) -> Parsed:
    """MultiSports from MMAction2's CSV files (rows as AVA's, with the frame for the second) or the official pickle.

    Splits are "train" and "val". Proposals go with the CSV files, see :func:`read_proposals`.
    """
    classes = read_labels("multisports")
    rows = root / "annotations" / f"multisports_{split}.csv"
    if not rows.is_file():
        official = {"val": "test"}.get(split, split)
        path = root / "trainval" / "multisports_GT.pkl"
        parsed = read_tubes(path, official, folder=root / "trainval", extension=".mp4")
        if tuple(name.replace(" ", "_") for name in parsed.classes) != classes:
            raise InputError(f"{path} does not have the 66 classes of MultiSports in their order.")
        return Parsed(parsed.records, classes)
    frames = read_ava_rows(rows, num_classes=len(classes), first_class=0)
    proposal_file = root / "annotations" / f"multisports_dense_proposals_{split}.recall_96.13.pkl"
    proposals = read_proposals(proposal_file, min_score=min_score) if proposal_file.is_file() else None
    records = ava_records(frames, folder=root / "trainval", proposals=proposals, seconds=(1, None), fps=None)
    return Parsed([replace(record, in_frames=True) for record in records], classes)


BOX_COLUMNS = ("video", "time", "x1", "y1", "x2", "y2", "label")


def read_boxes(
    path: str | Path, *, folder: str | Path = "", classes: Sequence[str] = (), pixels: bool = False
) -> Parsed:
    """Boxes of one's own, as CSV with the header ``video,time,x1,y1,x2,y2,label[,person]`` or a JSON list of such rows.

    A row is a box with one class; rows of the same box are put together. ``time`` is in seconds, corners are fractions
    of the picture, ``label`` is a class name and ``person`` a number that says who it is, -1 where it is not known.

    Args:
        folder: ``record.path`` is ``folder/video``.
        classes: names in index order; () for the names in the file, sorted.
        pixels: corners are in pixels.

    Raises:
        InputError: the file is missing, or a row is malformed; with its line (CSV) or number from 1 (JSON) and reason.
    """
    rows = list(_box_rows(path))
    names = tuple(classes) or tuple(sorted({str(row["label"]) for _, row in rows}))
    numbers = {name: i for i, name in enumerate(names)}
    frames: dict[tuple[str, float], FrameBoxes] = {}
    for where, row in rows:
        video_id, time, box, person = _check_box(where, row, pixels)
        if (label := str(row["label"])) not in numbers:
            raise InputError(f"{where}: {unknown_name('class', label, names)}")
        _, labels = frames.setdefault((video_id, time), {}).setdefault(box, (person, []))
        if numbers[label] not in labels:
            labels.append(numbers[label])
    return Parsed([_record(key, boxes, folder) for key, boxes in frames.items()], names)


def _box_rows(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where it stands, the row) of every row, with all columns there."""
    path = existing(path)
    if path.suffix.lower() == ".json":
        content = read_json(path)
        if not isinstance(content, list):
            raise InputError(f"{path} must hold a list of objects, not {type(content).__name__}.")
        numbered, unit = enumerate(content, 1), "item"
    else:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            numbered, unit = [(reader.line_num, row) for row in reader], "line"
            header = reader.fieldnames or ()
        if missing := [name for name in BOX_COLUMNS if name not in header]:
            raise InputError(f"{path}, line 1: the header lacks {', '.join(missing)}.")
    for number, row in numbered:
        where = f"{path}, {unit} {number}"
        missing = [n for n in BOX_COLUMNS if not isinstance(row, dict) or row.get(n) in (None, "")]
        if missing:
            raise InputError(f"{where}: {', '.join(missing)} missing.")
        if None in row:
            raise InputError(f"{where}: more fields than the header has.")
        yield where, row


def _check_box(where: str, row: dict[str, Any], pixels: bool) -> tuple[str, float, tuple[float, ...], int]:
    try:
        time, x1, y1, x2, y2 = (float(row[name]) for name in BOX_COLUMNS[1:6])
        person = -1 if row.get("person") in (None, "") else int(row["person"])
    except (TypeError, ValueError):
        raise InputError(f"{where}: time and corners must be numbers and person a whole number: {row}.") from None
    if not (math.isfinite(time) and time >= 0):
        raise InputError(f"{where}: time must be from 0 seconds, not {time}.")
    limit = math.inf if pixels else 1
    if not (0 <= x1 < x2 <= limit and 0 <= y1 < y2 <= limit and math.isfinite(x2 + y2)):
        bounds = "corners in pixels" if pixels else "corners as fractions from 0 to 1"
        raise InputError(f"{where}: expected {bounds} with x1 < x2 and y1 < y2, not {x1}, {y1}, {x2}, {y2}.")
    return str(row["video"]), time, (x1, y1, x2, y2), person


def parse_boxes(root: Path, split: str, *, pixels: bool = False) -> Parsed:
    """:func:`read_boxes` of ``{split}.csv`` or ``{split}.json`` under ``root``, classes of ``classes.txt`` if there."""
    path = root / f"{split}.csv"
    path = path if path.is_file() else path.with_suffix(".json")
    names = root / "classes.txt"
    classes = [name for _, name in read_lines(names)] if names.is_file() else ()
    return read_boxes(path, folder=root / "videos", classes=classes, pixels=pixels)


_AVA_LAYOUT = """annotations/ava_{{split}}_v{v}.csv
annotations/ava_{{split}}_excluded_timestamps_v{v}.csv: optional
annotations/ava_dense_proposals_{{split}}.FAIR.recall_93.9.pkl: optional, boxes of a person detector
rawframes/VIDEO/img_00001.jpg: the minutes 15 to 30 at 30 frames a second; or videos/VIDEO.*: these minutes"""

DATASETS = (
    *(
        DatasetInfo(
            name=f"ava{version.replace('.', '')}",
            title=f"AVA {version}",
            task="detection",
            parse=parse_ava,
            splits=("train", "val"),
            homepage="https://research.google.com/ava/",
            license="annotations CC-BY-4.0; the videos belong to the uploaders",
            layout=_AVA_LAYOUT.format(v=version),
            num_classes=len(AVA_CLASSES),
            paper="https://arxiv.org/abs/1705.08421",
            options={
                "annotation": f"ava_{{split}}_v{version}.csv",
                "exclusion": f"ava_{{split}}_excluded_timestamps_v{version}.csv",
            },
        )
        for version in ("2.1", "2.2")
    ),
    DatasetInfo(
        name="ava_kinetics",
        title="AVA-Kinetics",
        task="detection",
        parse=parse_ava,
        splits=("train", "val"),
        homepage="https://research.google.com/ava/",
        license="annotations CC-BY-4.0; the videos belong to the uploaders",
        layout="annotations/ava_{split}_v2.2.csv: AVA's rows and those of Kinetics, with videos called NAME_START_END\n"
        "annotations/ava_{split}_excluded_timestamps_v2.2.csv: optional\n"
        "annotations/ava_dense_proposals_{split}.FAIR.recall_93.9.pkl: optional, boxes of a person detector\n"
        "rawframes/VIDEO/img_00001.jpg: at 30 frames a second",
        num_classes=len(AVA_CLASSES),
        paper="https://arxiv.org/abs/2005.00214",
        options={
            "annotation": "ava_{split}_v2.2.csv",
            "exclusion": "ava_{split}_excluded_timestamps_v2.2.csv",
            "kinetics": True,
        },
    ),
    DatasetInfo(
        name="ucf101_24",
        title="UCF101-24",
        task="detection",
        parse=parse_tubes,
        splits=("train", "test"),
        homepage="https://github.com/vkalogeiton/caffe/tree/act-detector",
        license="for research; the videos belong to the uploaders",
        layout="UCF101v2-GT.pkl\nrgb-images/CLASS/VIDEO/00001.jpg",
        num_classes=24,
        paper="https://arxiv.org/abs/1212.0402",
        options={"annotation": "UCF101v2-GT.pkl", "folder": "rgb-images"},
    ),
    DatasetInfo(
        name="jhmdb",
        title="JHMDB-21",
        task="detection",
        parse=parse_tubes,
        splits=("train", "test"),
        homepage="http://jhmdb.is.tue.mpg.de",
        license="CC-BY-4.0",
        layout="JHMDB-GT.pkl\nFrames/CLASS/VIDEO/00001.png",
        num_classes=21,
        paper="https://openaccess.thecvf.com/content_iccv_2013/html/Jhuang_Towards_Understanding_Action_2013_ICCV_paper.html",
        options={"annotation": "JHMDB-GT.pkl", "folder": "Frames"},
    ),
    DatasetInfo(
        name="multisports",
        title="MultiSports",
        task="detection",
        parse=parse_multisports,
        splits=("train", "val"),
        homepage="https://deeperaction.github.io/datasets/multisports.html",
        license="CC-BY-NC-4.0",
        layout="trainval/multisports_GT.pkl, or annotations/multisports_{split}.csv as MMAction2 prepares it\n"
        "annotations/multisports_dense_proposals_{split}.recall_96.13.pkl: optional, with the latter\n"
        "trainval/SPORT/VIDEO.mp4",
        num_classes=66,
        paper="https://arxiv.org/abs/2105.07404",
    ),
    DatasetInfo(
        name="boxes",
        title="boxes of one's own",
        task="detection",
        parse=parse_boxes,
        splits=("train", "val", "test"),
        homepage="",
        license="",
        layout="{split}.csv: video,time,x1,y1,x2,y2,label[,person], or {split}.json: a list of such objects\n"
        "classes.txt: optional, a class name a line\nvideos/: the videos, by their names in the first column",
        num_classes=0,
    ),
)
