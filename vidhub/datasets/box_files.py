"""Boxes of one's own as CSV or JSON: read, and checked line by line."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Collection, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError, VidhubError, unknown_name
from .annotation_files import existing, read_lines
from .info import Parsed
from .records import BoxesRecord
from .video_io import VideoReader

COLUMNS = ("video", "time", "x1", "y1", "x2", "y2", "label")


class BoxRow(NamedTuple):
    """A row of a file."""

    where: str  # it stands: "FILE, line 4"
    video: str
    time: float  # seconds
    box: tuple[float, ...] = ()  # x1, y1, x2, y2; () where the row says that nobody is there
    label: str = ""
    person: int = -1


def read_boxes(
    path: str | Path,
    *,
    folder: str | Path = "",
    classes: Sequence[str] = (),
    pixels: bool = False,
    all_frames: bool = False,
) -> Parsed:
    """Boxes of one's own, as CSV with the header ``video,time,x1,y1,x2,y2,label[,person]`` or a JSON list of such rows.

    A row is a box with one class; rows of the same box and person are put together. ``time`` is in seconds, corners are
    fractions of the picture, ``label`` is a class name and ``person`` a number that says who it is, -1 where it is not
    known. A row with video and time alone is a key frame in which nobody is.

    Args:
        folder: ``record.path`` is ``folder/video``.
        classes: names in index order; () for the names in the file, sorted.
        pixels: corners are in pixels.
        all_frames: also a record for each key frame in which nobody is.

    Raises:
        InputError: the file is missing, or a row is malformed; with its line (CSV) or number from 1 (JSON) and reason.
    """
    rows, problems = parse_rows(path, classes, pixels=pixels)
    if problems:
        raise InputError(problems[0])
    names = tuple(classes) or tuple(sorted({row.label for row in rows if row.box}))
    frames: dict[tuple[str, float], dict[tuple, list[int]]] = {}
    for row in rows:
        if row.box:
            of_frame = frames.setdefault((row.video, row.time), {})
            of_frame.setdefault((row.box, row.person), []).append(names.index(row.label))
        elif all_frames:
            frames.setdefault((row.video, row.time), {})
    records = [
        BoxesRecord(
            video,
            str(Path(folder, video)),
            time,
            np.array([box for box, _ in labels], dtype=np.float32).reshape(-1, 4),
            tuple(map(tuple, labels.values())),
            tuple(person for _, person in labels),
        )
        for (video, time), labels in frames.items()
    ]
    return Parsed(records, names)


def parse_rows(
    path: str | Path, classes: Sequence[str] = (), *, pixels: bool = False
) -> tuple[list[BoxRow], list[str]]:
    """The rows of a file that are as they should be, and a sentence with line and reason for each that is not.

    Raises:
        InputError: the file is missing, or cannot be read at all; with the line.
    """
    rows, problems, places = [], [], {}
    for where, cells in _cells(existing(path)):
        try:
            row = _row(where, cells, pixels)
            if row.box and classes and row.label not in classes:
                raise InputError(f"{where}: {unknown_name('class', row.label, classes)}")
            if (first := places.setdefault(row[1:], where)) != where:
                raise InputError(f"{where}: the same as {first.rpartition(', ')[2]}; leave one of them out.")
            rows.append(row)
        except InputError as error:
            problems.append(str(error))
    return rows, problems


def box_problems(
    path: str | Path,
    *,
    folder: str | Path,
    classes: Sequence[str] = (),
    pixels: bool = False,
    bad_files: Collection[str] = (),
) -> list[str]:
    """All that is wrong with a file of boxes, a sentence each: its rows, missing videos, times beyond a video's end.

    Args:
        folder: of the videos.
        bad_files: paths of videos that cannot be read, which are not opened.
    """
    try:
        rows, problems = parse_rows(path, classes, pixels=pixels)
    except InputError as error:
        return [str(error)]
    of_video: dict[str, list[BoxRow]] = {}
    for row in rows:
        of_video.setdefault(row.video, []).append(row)
    for video, here in of_video.items():
        file = Path(folder, video)
        if not file.exists():
            problems.append(f"{here[0].where}: there is no video {video!r} in {folder}.")
        elif str(file) not in bad_files:
            try:
                with VideoReader(file) as reader:
                    end = reader.duration
            except (VidhubError, OSError) as error:
                problems.append(f"{here[0].where}: {error}")
                continue
            late = (row for row in here if row.time > end)
            problems += [
                f"{r.where}: time {r.time:g} is beyond the end of {video!r}, which lasts {end:.2f} s." for r in late
            ]
    return problems


def box_file(root: Path, split: str) -> Path:
    """The file of a split under ``root``: CSV, or else JSON."""
    path = root / f"{split}.csv"
    return path if path.is_file() else path.with_suffix(".json")


def box_classes(root: Path, splits: Sequence[str], *, pixels: bool = False) -> tuple[str, ...]:
    """The class names of ``classes.txt`` under ``root``, or else those in the files of all splits, sorted."""
    if (listed := root / "classes.txt").is_file():
        return tuple(name for _, name in read_lines(listed))
    found = set()
    for split in splits:
        try:
            found |= {row.label for row in parse_rows(box_file(root, split), pixels=pixels)[0] if row.box}
        except InputError:  # of a split that is not read here
            continue
    return tuple(sorted(found))


def _cells(path: Path) -> Iterator[tuple[str, dict[Any, Any]]]:
    """(where it stands, its cells by column) of every row; under None what exceeds the columns."""
    text = _text(path)
    if path.suffix.lower() == ".json":
        try:
            items = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}, line {error.lineno}: not valid JSON ({error.msg}).") from None
        if not isinstance(items, list):
            raise InputError(f"{path}, line 1: it must hold a list of objects, not {type(items).__name__}.")
        rows = [(f"{path}, item {i}", item if isinstance(item, dict) else {}) for i, item in enumerate(items, 1)]
    else:
        rows = _table(path, text)
    if not rows:
        raise InputError(f"{path}, line 1: no row follows; write one for each box.")
    yield from rows


def _table(path: Path, text: str) -> list[tuple[str, dict[Any, Any]]]:
    reader, lines = csv.reader(io.StringIO(text, newline="")), []
    try:
        for cells in reader:
            lines.append((f"{path}, line {reader.line_num}", [cell.strip() for cell in cells]))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: no row of fields separated by commas ({error}).") from None
    lines = [(where, cells) for where, cells in lines if any(cells)]
    header = lines[0][1] if lines else []
    if missing := [name for name in COLUMNS if name not in header]:
        raise InputError(f"{path}, line 1: the header lacks {', '.join(missing)}.")
    if twice := [name for name in (*COLUMNS, "person") if header.count(name) > 1]:
        raise InputError(f"{path}, line 1: the header has {', '.join(twice)} twice.")
    return [(where, dict(zip_longest(header, cells))) for where, cells in lines[1:]]


def _text(path: Path) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: it is not UTF-8 text; save the file as UTF-8.") from None


def _row(where: str, cells: dict[Any, Any], pixels: bool) -> BoxRow:
    if None in cells:
        raise InputError(f"{where}: more fields than the header has.")
    missing = [name for name in COLUMNS if cells.get(name) in (None, "")]
    nobody = missing == list(COLUMNS[2:])
    if missing and not nobody:
        raise InputError(f"{where}: {', '.join(missing)} missing.")
    for name in ("video", "label")[: 1 if nobody else 2]:
        if not isinstance(cells[name], str):
            hint = ", a row for each class" if isinstance(cells[name], list) else ""
            raise InputError(f"{where}: {name} must be text{hint}, not {cells[name]!r}.")
    time = _number(where, cells, "time")
    if not (math.isfinite(time) and time >= 0):
        raise InputError(f"{where}: time must be from 0 seconds, not {time}.")
    if nobody:
        return BoxRow(where, cells["video"], time)
    x1, y1, x2, y2 = box = tuple(_number(where, cells, name) for name in COLUMNS[2:6])
    limit = math.inf if pixels else 1
    if not (0 <= x1 < x2 <= limit and 0 <= y1 < y2 <= limit and math.isfinite(x2 + y2)):
        bounds = "corners in pixels" if pixels else "corners as fractions from 0 to 1"
        raise InputError(f"{where}: expected {bounds} with x1 < x2 and y1 < y2, not {x1}, {y1}, {x2}, {y2}.")
    person = -1.0 if cells.get("person") in (None, "") else _number(where, cells, "person")
    if not person.is_integer():
        raise InputError(f"{where}: person must be a whole number, not {cells['person']!r}.")
    return BoxRow(where, cells["video"], time, box, cells["label"], int(person))


def _number(where: str, cells: dict[Any, Any], name: str) -> float:
    value = cells[name]
    try:
        if isinstance(value, (int, float, str)) and not isinstance(value, bool):
            return float(value)
    except ValueError:
        pass
    raise InputError(f"{where}: {name} must be a number, not {value!r}.")
