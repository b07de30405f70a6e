"""Key frames with labelled boxes of persons."""

from __future__ import annotations

import math
import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..weights.types import read_labels
from .annotation_files import read_lines, read_pickle
from .box_files import box_classes, box_file, box_problems, read_boxes
from .info import DatasetInfo, Parsed
from .records import BoxesRecord, BoxProtocol

AVA_SECONDS = (900.0, 1800.0)  # every AVA video is annotated in its minutes 15 to 30
AVA_KEY_FRAMES = range(902, 1799)  # seconds
AVA_FPS = 30  # of the frame images
AVA_CLASSES = ("background", *read_labels("ava"))  # numbered from 1 as in the files, 0 is no class
# the others are AVA's list of classes for evaluation
_AVA_NOT_SCORED = {2, 16, 18, 19, 21, 23, 25, 31, 32, 33, 35, 39, 40, 42, 44, 50, 53, 55, 71, 75}
AVA_SCORED = tuple(c for c in range(1, len(AVA_CLASSES)) if c not in _AVA_NOT_SCORED)
# as the publisher's metric has it
_MULTISPORTS_NOT_SCORED = {
    "aerobic_kick_jump",
    "aerobic_off_axis_jump",
    "aerobic_butterfly_jump",
    "aerobic_balance_turn",
    "basketball_save",
    "basketball_jump_ball",
}

FrameBoxes = dict[tuple[float, ...], tuple[int, list[int]]]  # box: (person, classes)
AvaFrames = dict[tuple[str, float], FrameBoxes]  # (video, second): its boxes


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
    persons: bool = True,
    all_frames: bool = False,
) -> AvaFrames:
    """What an AVA CSV file says of each key frame (video, second), in order of appearance.

    A row is ``video,second,x1,y1,x2,y2,class,person`` with the corners as fractions. Rows of the same box, each with
    a class, are put together. A row with nothing after the second is a key frame without persons.

    Args:
        excluded: (video, second) pairs to leave out, see :func:`read_excluded`.
        num_classes: classes are from 1 to this less one; None for 81, or as many as there are custom classes and one.
        custom_classes: keep only these, numbered from 1 in this order.
        label_map: if given, custom classes must be in it.
        first_class: the lowest class; MMAction2's files of MultiSports count from 0.
        persons: False: rows end with the class, as in the files of AVA-Kinetics for Kinetics; the person is -1.
        all_frames: also tell key frames without persons.

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
            key = fields[0], _second(fields[1])
            if not any(fields[2:]):
                if all_frames and key not in excluded:
                    frames.setdefault(key, {})
                continue
            x1, y1, x2, y2, label, person = fields[2:] if persons else (*fields[2:], "-1")
            box = float(x1), float(y1), float(x2), float(y2)
            label, person = int(label), int(person)
        except (ValueError, IndexError):
            wanted = "video,second,x1,y1,x2,y2,class" + ",person" * persons
            raise InputError(f"{path}, line {number}: expected {wanted!r}, not {line!r}.") from None
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


def _second(text: str) -> float:
    """A whole number where it is one, so that it compares with those of other files."""
    second = float(text)
    if not math.isfinite(second):
        raise ValueError(text)
    return int(second) if second.is_integer() else second


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
        _record(key, boxes, folder, seconds, shot, proposals and proposals.select(f"{key[0]},{int(key[1]):04d}"))
        for key, boxes in frames.items()
    ]


def ava_kinetics_records(
    frames: AvaFrames,
    *,
    folder: str | Path = "",
    proposals: Proposals | None = None,
    fps: int | None = AVA_FPS,
    shot_of: str | None = None,
    bare: tuple[float, float | None] = AVA_SECONDS,
) -> list[BoxesRecord]:
    """:func:`ava_records` for AVA-Kinetics, where videos differ in length.

    A video of Kinetics is called ``NAME_START_END`` and carries its own first and last second; names of AVA's videos
    have eleven characters. Proposals of the former are looked up as "NAME,0902".

    Args:
        folder, proposals, fps: see there.
        shot_of: the video whose frame numbers limit the clips of every record, instead of each its own. MMAction2
            trained with those of the file's last row, see :func:`last_video`.
        bare: first and last second of videos that are called by eleven characters alone.

    Raises:
        InputError: a video's name is neither of the two.
    """
    records = []
    for (video_id, second), boxes in frames.items():
        name, seconds = _kinetics_seconds(video_id, bare)
        first, last = seconds if shot_of is None else _kinetics_seconds(shot_of, bare)[1]
        shot = None if fps is None or last is None else (1, int((last - first) * fps) + 1)
        chosen = proposals and proposals.select(f"{name},{int(second):04d}")
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


def _kinetics_seconds(
    video_id: str, bare: tuple[float, float | None] = AVA_SECONDS
) -> tuple[str, tuple[float, float | None]]:
    """The bare name of a video of AVA-Kinetics, and its first and last second."""
    if len(video_id) == 11:
        return video_id, bare
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
        np.array(list(boxes), dtype=np.float32).reshape(-1, 4),
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
    frames: bool | None = None,
    label_map: str | None = None,
    custom_classes: Sequence[int] | None = None,
    kinetics: bool = False,
    kinetics_annotation: str | None = "kinetics_{split}_v1.0.csv",
    shot_of_last_row: bool = False,
    all_frames: bool = False,
) -> Parsed:
    """AVA and AVA-Kinetics: files of ``root/annotations``, with "{split}" in their names filled in.

    Args:
        proposals: left out if there is no such file, as are excluded key frames.
        min_score: of proposals, see :meth:`Proposals.select`.
        frames: True: frame images in ``rawframes/VIDEO/``; False: video files in ``videos/``, whatever their extension;
            None: frame images of the videos that have some, else files.
        label_map: a file like AVA's ``.pbtxt`` with the classes of a data set of one's own, or those that count.
        custom_classes: keep only these, numbered from 1 in this order.
        kinetics: videos may be called ``NAME_START_END``, see :func:`ava_kinetics_records`.
        kinetics_annotation: with ``kinetics``, the published file of the part from Kinetics, whose videos are found by
            their names and seconds; left out if there is none, or if that of AVA has these videos too, as MMAction2's.
        shot_of_last_row: see :func:`ava_kinetics_records`.
        all_frames: also a record for each key frame in which nobody is.

    Labels are AVA's own numbers, so the first class is "background", which no box has. The 60 classes of AVA's list
    for evaluation count in scores, or those of the label map.
    """
    files = root / "annotations"
    path = files / annotation.format(split=split)
    exclude_file = files / exclusion.format(split=split)
    names = read_label_map(files / label_map) if label_map else dict(enumerate(AVA_CLASSES[1:], 1))
    numbering = {
        "num_classes": max(names) + 1 if custom_classes is None else None,
        "custom_classes": custom_classes,
        "label_map": names,
        "all_frames": all_frames,
    }
    proposal_file = files / (proposals or "").format(split=split)
    found = read_proposals(proposal_file, min_score=min_score) if proposal_file.is_file() else None
    more_rows = files / (kinetics_annotation or "").format(split=split)
    both = kinetics and more_rows.is_file()
    rows = read_ava_rows(path, **numbering) if path.is_file() or not both else {}
    excluded = read_excluded(exclude_file) if exclude_file.is_file() else set()
    left_out = {key: rows[key] for key in rows if key in excluded}
    rows = {key: rows[key] for key in rows if key not in excluded}
    if all_frames:
        own = (video for video in dict.fromkeys(video for video, _ in rows) if len(video) == 11)
        keys = ((video, second) for video in own for second in AVA_KEY_FRAMES)
        rows |= {key: {} for key in keys if key not in rows and key not in excluded}
    if kinetics:
        shot_of = last_video(path, custom_classes) if shot_of_last_row else None
        records = ava_kinetics_records(rows, proposals=found, shot_of=shot_of)
        if both and all(len(video) == 11 for video, _ in rows):
            more = _named_as_stored(read_ava_rows(more_rows, **numbering, persons=False), root, frames)
            records += ava_kinetics_records(more, proposals=found, bare=(0.0, None))
    else:
        records = ava_records(rows, proposals=found)
    counted = tuple(names) if label_map else AVA_SCORED
    protocol = BoxProtocol(
        counted if custom_classes is None else None,
        tuple(ava_records({key: boxes for key, boxes in left_out.items() if boxes})),
        -1 if kinetics else 1,
    )
    numbers = range(1, max(names) + 1) if custom_classes is None else custom_classes
    classes = ("background", *(names.get(c, f"class {c}") for c in numbers))
    return Parsed(_placed(records, root, frames), classes, protocol=protocol)


def _placed(records: list[BoxesRecord], root: Path, frames: bool | None) -> list[BoxesRecord]:
    """The records with the paths of their videos: a folder in ``rawframes``, or a file in ``videos``."""
    names = {record.video_id for record in records}
    images = {} if frames is False else _stored(root / "rawframes", names)
    files = {} if frames else _stored(root / "videos", names)
    elsewhere = "videos" if frames is False or (files and not images) else "rawframes"  # what is missing is looked for
    placed = []
    for record in records:
        path = images.get(record.video_id) or files.get(record.video_id) or root / elsewhere / record.video_id
        is_file = record.video_id not in images and (record.video_id in files or elsewhere == "videos")
        placed.append(replace(record, path=str(path), shot=None if is_file else record.shot))
    return placed


def _stored(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """Where under ``folder`` videos are whose names, "/" in them, lack the extension: files, or folders of images."""
    found = {}
    for group in {name.rpartition("/")[0] for name in names}:
        try:
            entries = list(os.scandir(folder / group))
        except OSError:
            continue
        for entry in entries:
            name = entry.name if entry.is_dir() else Path(entry.name).stem
            found[f"{group}/{name}" if group else name] = Path(entry.path)
    return found


def _named_as_stored(rows: AvaFrames, root: Path, frames: bool | None) -> AvaFrames:
    """Rows of videos NAME with the names NAME_START_END of the clips of them that are there and show the second."""
    clips = defaultdict(list)
    for folder in ("rawframes",) * (frames is not False) + ("videos",) * (frames is not True):
        for stored in _stored(root / folder, [""]):
            if match := re.fullmatch(r"(.+)_(\d+)_(\d+)", stored):
                clips[match[1]].append((int(match[2]), int(match[3]), stored))
    named = {}
    for (video, second), boxes in rows.items():
        showing = (stored for start, end, stored in clips[video] if start <= second <= end)
        named[next(showing, video), second] = boxes
    return named


def read_tubes(
    path: str | Path,
    split: str,
    *,
    fold: int = 1,
    folder: str | Path = "",
    extension: str = "",
    pixels: bool = False,
    all_frames: bool = False,
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
        all_frames: also a record for each frame in which nobody is annotated.

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
        records += _tube_records(video_id, location, labelled, scale, int(lengths[video_id]), all_frames)
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
    video_id: str,
    path: str,
    labelled: list[tuple[int, np.ndarray]],
    scale: np.ndarray,
    num_frames: int,
    all_frames: bool,
) -> Iterator[BoxesRecord]:
    rows = np.concatenate([np.zeros((0, 5)), *(tube for _, tube in labelled)])
    people = np.repeat(np.arange(len(labelled)), [len(tube) for _, tube in labelled])
    order = np.argsort(rows[:, 0], kind="stable")
    rows, people = rows[order], people[order]
    numbers = rows[:, 0].astype(np.int64)
    frames = np.arange(1, num_frames + 1) if all_frames else np.unique(numbers)
    starts = np.searchsorted(numbers, frames)[1:]
    boxes = np.split(rows[:, 1:].astype(np.float32) / scale, starts) if len(frames) else ()
    for frame, box, who in zip(frames.tolist(), boxes, np.split(people, starts), strict=False):
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
    root: Path,
    split: str,
    *,
    annotation: str,
    folder: str,
    extension: str = "",
    fold: int = 1,
    pixels: bool = False,
    all_frames: bool = False,
) -> Parsed:
    """:func:`read_tubes` of the file ``annotation`` under ``root``.

    Videos are frame images or files under ``folder``, or files in ``videos``, whatever their extension.
    """
    where = {"folder": root / folder, "extension": extension}
    parsed = read_tubes(root / annotation, split, fold=fold, **where, pixels=pixels, all_frames=all_frames)
    names = {record.video_id for record in parsed.records}
    there = {} if extension else {**_stored(root / "videos", names), **_stored(root / folder, names)}
    records = [replace(record, path=str(there.get(record.video_id, record.path))) for record in parsed.records]
    return Parsed(records, parsed.classes)


def parse_multisports(root: Path, split: str, *, min_score: float = 0.9, all_frames: bool = False) -> Parsed:
    """MultiSports from MMAction2's CSV files (rows as AVA's, with the frame for the second) or the official pickle.

    Splits are "train" and "val". Proposals go with the CSV files, see :func:`read_proposals`. Six classes do not count
    in scores.

    Args:
        all_frames: also a record for each frame in which nobody is annotated; from the pickle.
    """
    classes = read_labels("multisports")
    protocol = BoxProtocol(tuple(i for i, name in enumerate(classes) if name not in _MULTISPORTS_NOT_SCORED))
    rows = root / "annotations" / f"multisports_{split}.csv"
    if all_frames or not rows.is_file():
        official = {"val": "test"}.get(split, split)
        path = root / "trainval" / "multisports_GT.pkl"
        beside = root / "annotations" / path.name
        path = beside if beside.is_file() and not path.is_file() else path
        parsed = read_tubes(path, official, folder=root / "trainval", extension=".mp4", all_frames=all_frames)
        if tuple(name.replace(" ", "_") for name in parsed.classes) != classes:
            raise InputError(f"{path} does not have the 66 classes of MultiSports in their order.")
        return Parsed(parsed.records, classes, protocol=protocol)
    frames = read_ava_rows(rows, num_classes=len(classes), first_class=0)
    proposal_file = root / "annotations" / f"multisports_dense_proposals_{split}.recall_96.13.pkl"
    proposals = read_proposals(proposal_file, min_score=min_score) if proposal_file.is_file() else None
    records = ava_records(frames, folder=root / "trainval", proposals=proposals, seconds=(1, None), fps=None)
    return Parsed([replace(record, in_frames=True) for record in records], classes, protocol=protocol)


_BOX_SPLITS = ("train", "val", "test")


def parse_boxes(root: Path, split: str, *, pixels: bool = False, all_frames: bool = False) -> Parsed:
    """``read_boxes`` of ``{split}.csv`` or ``{split}.json`` under ``root``.

    The classes are those of ``classes.txt``, or else of all splits together.
    """
    classes = box_classes(root, _BOX_SPLITS, pixels=pixels)
    options = {"classes": classes, "pixels": pixels, "all_frames": all_frames}
    return read_boxes(box_file(root, split), folder=root / "videos", **options)


def check_boxes(root: Path, split: str, bad_files: Collection[str] = ()) -> list[str]:
    """``box_problems`` of a split under ``root``."""
    classes = box_classes(root, _BOX_SPLITS)
    return box_problems(box_file(root, split), folder=root / "videos", classes=classes, bad_files=bad_files)


_AVA_LAYOUT = """annotations/ava_{{split}}_v{v}.csv
annotations/ava_{{split}}_excluded_timestamps_v{v}.csv: optional
annotations/ava_dense_proposals_{{split}}.FAIR.recall_93.9.pkl: optional, boxes of a person detector
rawframes/VIDEO/img_00001.jpg: the minutes 15 to 30 at 30 frames a second; or videos/VIDEO.*: these minutes, or whole"""

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
        layout="annotations/ava_{split}_v2.2.csv\n"
        "annotations/kinetics_{split}_v1.0.csv: or these rows in the other file, with videos called NAME_START_END\n"
        "annotations/ava_{split}_excluded_timestamps_v2.2.csv: optional\n"
        "annotations/ava_dense_proposals_{split}.FAIR.recall_93.9.pkl: optional, boxes of a person detector\n"
        "rawframes/VIDEO/img_00001.jpg: at 30 frames a second; or videos/VIDEO.*; of Kinetics NAME_START_END",
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
        layout="UCF101v2-GT.pkl\nrgb-images/CLASS/VIDEO/00001.jpg; or videos/CLASS/VIDEO.*",
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
        layout="JHMDB-GT.pkl\nFrames/CLASS/VIDEO/00001.png; or videos/CLASS/VIDEO.*",
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
        splits=_BOX_SPLITS,
        homepage="",
        license="",
        layout="{split}.csv: video,time,x1,y1,x2,y2,label[,person], or {split}.json: a list of such objects\n"
        "classes.txt: optional, a class name a line\nvideos/: the videos, by their names in the first column",
        num_classes=0,
        check=check_boxes,
    ),
)
