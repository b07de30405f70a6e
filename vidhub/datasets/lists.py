"""Lists of videos in formats that belong to no data set: MMAction2's, class folders, tables, archives and shards."""

from __future__ import annotations

import json
import math
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import InputError
from .annotation_files import existing, read_csv, read_json, read_lines
from .archives import ARCHIVE_SUFFIXES, SEPARATOR, list_members, open_member
from .info import DatasetInfo, Parsed
from .records import Label, VideoRecord
from .video_io import IMAGE_SUFFIXES, natural_order

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v"),
    *(".mkv", ".webm", ".avi", ".divx", ".flv", ".wmv", ".asf", ".ogv", ".rm", ".rmvb", ".gif"),
    *(".mpg", ".mpeg", ".mpe", ".m2v", ".vob", ".ts", ".mts", ".m2ts", ".mxf", ".dv", ".y4m"),
)
SOUND_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac")


# --------------------------------------------------------------------------------------------------- MMAction2's lists


def read_video_list(
    path: str | Path,
    folder: str | Path = "",
    *,
    delimiter: str = " ",
    multi_label: bool = False,
    num_classes: int | None = None,
) -> list[VideoRecord]:
    """The records of a text file with a line ``file label`` for each video.

    Args:
        folder: put in front of file names.
        delimiter: between the fields; with another than a blank, file names may hold blanks.
        multi_label: any number of labels may follow, and ``record.label`` is a tuple.
        num_classes: if given, labels must be below it.

    A line without a label gives a record without one.

    Raises:
        InputError: the file is missing, or a line has too many labels or one that is no class; with its number.
    """
    records = []
    for where, (name, *labels) in split_lines(path, delimiter):
        label = _label(where, labels, multi_label, num_classes)
        records.append(VideoRecord(_joined(folder, name), label))
    return records


def read_frame_list(
    path: str | Path,
    folder: str | Path = "",
    *,
    delimiter: str = " ",
    with_offset: bool = False,
    multi_label: bool = False,
    num_classes: int | None = None,
    template: str = "img_{:05}.jpg",
    start_index: int = 1,
    fps: float | None = None,
) -> list[VideoRecord]:
    """The records of a text file with a line ``folder [offset] frames label`` for each folder of frame images.

    Args:
        with_offset: the lines say how many frames to leave out in front.
        template: of the image names, filled with the number of a frame; of optical flow with x or y and the number,
            such as "flow_{}_{:05}.jpg".
        start_index: number of the first frame in the image names.
        fps: frames a second; None: 30.
        folder, delimiter, multi_label, num_classes: see :func:`read_video_list`.

    Raises:
        InputError: the file is missing or a line malformed; with its number.
    """
    records = []
    for where, (name, *rest) in split_lines(path, delimiter):
        numbers = 2 if with_offset else 1
        if len(rest) < numbers or not all(number.isdecimal() for number in rest[:numbers]):
            wanted = "folder, offset, frames and labels" if with_offset else "folder, frames and labels"
            raise InputError(f"{where}: expected {wanted}, not {delimiter.join([name, *rest])!r}.")
        *offset, num_frames = map(int, rest[:numbers])
        label = _label(where, rest[numbers:], multi_label, num_classes)
        first = start_index + sum(offset)
        records.append(VideoRecord(_joined(folder, name), label, None, None, num_frames, first, template, fps))
    return records


def read_tag_list(
    path: str | Path, folder: str | Path = "", *, categories: Iterable[str], template: str = "img_{:05}.jpg"
) -> list[VideoRecord]:
    """The records of a JSON list of {"filename" or "frame_dir" and "total_frames", "label": {category: [tags]}}.

    Args:
        categories: those to keep; others are left out.

    Raises:
        InputError: the file is missing or malformed; with the entry.
    """
    categories = set(categories)
    records = []
    for number, item in enumerate(_json_list(path), 1):
        where = f"{path}, entry {number}"
        try:
            label = {k: tuple(map(int, v)) for k, v in item["label"].items() if k in categories}
            if "filename" in item:
                records.append(VideoRecord(_joined(folder, item["filename"]), label))
            else:
                frames = int(item["total_frames"])
                record = VideoRecord(_joined(folder, item["frame_dir"]), label, None, None, frames, 1, template)
                records.append(record)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise InputError(
                f'{where}: expected {{"filename": ..., "label": {{category: [tags]}}}}, not {item!r}.'
            ) from None
    return records


def parse_list(
    root: Path, split: str, *, annotation: str = "{split}.txt", frames: bool = False, **options: Any
) -> Parsed:
    """:func:`read_video_list` or :func:`read_frame_list` of ``annotation`` under ``root``, with "{split}" filled in.

    The names of classes come from ``root/classes.txt``.
    """
    classes = read_classes(root)
    reader = read_frame_list if frames else read_video_list
    options = {"num_classes": len(classes) or None, **options}
    records = reader(root / annotation.format(split=split), root, **options)
    return Parsed(records, classes, num_classes=options["num_classes"] or 0)


def split_lines(path: str | Path, delimiter: str = " ") -> Iterator[tuple[str, list[str]]]:
    """("file, line n", fields without blanks around them) of every line that is not empty."""
    for number, line in read_lines(path):
        fields = line.split(None if delimiter == " " else delimiter)
        yield f"{path}, line {number}", [field.strip() for field in fields]


def _label(where: str, texts: list[str], multi_label: bool, num_classes: int | None) -> Label:
    try:
        labels = tuple(int(text) for text in texts)
    except ValueError:
        raise InputError(f"{where}: labels must be whole numbers, not {' '.join(texts)!r}.") from None
    if len(labels) > 1 and not multi_label:
        raise InputError(f"{where}: {len(labels)} labels where one is expected; pass multi_label=True for several.")
    for label in labels:
        if label < 0 or (num_classes is not None and label >= num_classes):
            limit = "at least 0" if num_classes is None else f"from 0 to {num_classes - 1}"
            raise InputError(f"{where}: label {label} is not {limit}.")
    return labels if multi_label else (labels[0] if labels else None)


def _joined(folder: str | Path, name: str) -> str:
    return os.path.join(folder, name)


# ------------------------------------------------------------------------------------------------------- class folders


_SPLIT_NAMES = ("train", "training", "val", "valid", "validation", "test", "testing")


def parse_folders(root: Path, split: str, *, holdout: float = 0.0, fps: float | None = None) -> Parsed:
    """``root/SPLIT/CLASS/VIDEO`` or ``root/CLASS/VIDEO``: videos, or folders of frame images; also inside an archive.

    Args:
        holdout: share of the videos that are "val" where there are no folders of splits. Which ones follows from their
            names, so that it is always the same.
        fps: frames a second of folders of frame images; None: 30.

    Raises:
        InputError: there is no such split, or no video.
    """
    files = list_members(root) if root.is_file() else _files_under(root)
    paths = _videos(files)
    # a folder of a class without videos has its number too
    folders = {path[:-1] for path in paths} | ({()} if root.is_file() else set(_folders_under(root)))
    top = {folder[0] for folder in folders if folder}
    if split in top or top & {"train", "training"}:
        if split not in top:
            raise InputError(f"{str(root)!r} has no folder {split!r}; it has {', '.join(sorted(top))}.")
        # of all splits; results that lie beside them are none
        classes = tuple(sorted({f[1] for f in folders if len(f) > 1 and f[0] in {split, *_SPLIT_NAMES}}))
        paths = [path for path in paths if path[0] == split and len(path) > 2]
        names = [path[1] for path in paths]
    else:
        classes = tuple(sorted(top))
        if split not in ("train", "val") or (split == "val" and not holdout):
            raise InputError(f"{str(root)!r} has no folder {split!r}, and no holdout says which part of it to take.")
        paths = [path for path in paths if len(path) > 1]
        paths = [path for path in paths if _held_out("/".join(path), holdout) == (split == "val")]
        names = [path[0] for path in paths]
    if not paths:
        raise InputError(f"{str(root)!r} holds no videos in folders of classes; expected SPLIT/CLASS/VIDEO.")
    index = {name: i for i, name in enumerate(classes)}
    prefix = f"{root}{SEPARATOR}" if root.is_file() else f"{root}{os.sep}"
    labels = [index[name] for name in names]
    records = [VideoRecord(prefix + "/".join(path), i, fps=fps) for path, i in zip(paths, labels, strict=True)]
    return Parsed(records, classes)


def _files_under(root: Path) -> list[str]:
    """Relative paths with "/" of all files, hidden ones left out."""
    found = []
    for folder, folders, files in os.walk(root, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        relative = os.path.relpath(folder, root).replace(os.sep, "/")
        prefix = "" if relative == "." else relative + "/"
        found += [prefix + name for name in files if not name.startswith(".")]
    return found


def _folders_under(root: Path) -> Iterator[tuple[str, ...]]:
    """Folders that are not hidden, two levels deep, as tuples of their names."""
    for folder in root.iterdir():
        if folder.is_dir() and not folder.name.startswith("."):
            yield (folder.name,)
            yield from ((folder.name, f.name) for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))


def _videos(files: Iterable[str]) -> list[tuple[str, ...]]:
    """Paths, as tuples of their parts, of video and sound files and of folders of images, in natural order."""
    found, of_images, of_videos = set(), set(), set()
    for path in files:
        lower, folder = path.lower(), path.rpartition("/")[0]
        if lower.endswith(VIDEO_SUFFIXES + SOUND_SUFFIXES):
            found.add(path)
        if lower.endswith(VIDEO_SUFFIXES):
            of_videos.add(folder)
        elif lower.endswith(IMAGE_SUFFIXES) and folder:
            of_images.add(folder)
    found |= of_images - of_videos  # images beside a video are posters of it
    return [tuple(path.split("/")) for path in sorted(found, key=natural_order)]


def _held_out(name: str, share: float) -> bool:
    return zlib.crc32(os.fsencode(name)) / 2**32 < share


# ------------------------------------------------------------------------------------------------------ CSV and JSON

_COLUMNS = {  # of several that are there the first
    "path": ("path", "file", "video", "filename", "video_path", "name"),
    "label": ("label", "labels", "class", "category", "action"),
    "split": ("split", "subset"),
    "start": ("start", "time_start", "start_time"),
    "end": ("end", "time_end", "end_time"),
}
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")


class _Table(NamedTuple):
    rows: list[tuple[str, dict[str, Any]]]  # where it is, and its cells by the keys of _COLUMNS
    classes: tuple[str, ...] = ()
    header: bool = True

    def labels(self, several: bool) -> set[str]:
        return {str(text) for _, row in self.rows for text in _texts(row.get("label"), several)}


def parse_table(root: Path, split: str, *, kind: str, folder: str | Path = "", multi_label: bool = False) -> Parsed:
    """Videos of a CSV or JSON file: ``root`` itself, maybe with a column "split", or ``root/SPLIT.csv``, ``.json``.

    A row has "path" and "label" (or "file", "video", "class", ...), and may have "split", "start" and "end" (seconds).
    A CSV file without such a header has two columns, path and label. A JSON file is a list of objects, or {"classes":
    [names], "videos": [objects]}. Labels are numbers, or names, which are numbered in the order of ``classes.txt``
    beside the file, or else of the alphabet: those of all files beside it together that are named after a split.

    Args:
        split: "": all rows of a file.
        kind: "csv" or "json".
        folder: of the videos, relative to that of the file.
        multi_label: several labels, a list in JSON, or separated by | in CSV.

    Raises:
        InputError: a file is missing, or a row malformed; with its number.
    """
    base = root.parent if root.is_file() else root
    path = root if root.is_file() else existing(root / f"{split}.{kind}")
    read = _csv_table if kind == "csv" else _json_table
    table = read(path)
    classes = read_classes(base) or table.classes
    if not classes:
        tables = [table, *_other_tables(path, table, read)]
        texts = {text for each in tables for text in each.labels(multi_label)}
        classes = next((each.classes for each in tables if each.classes), ())
        if not classes and not all(_NUMBER.fullmatch(text) for text in texts):
            classes = tuple(sorted(texts))
    index = {name: i for i, name in enumerate(classes)}
    records = []
    for where, row in table.rows:
        if not row.get("path"):
            raise InputError(f"{where}: the path of the video is missing.")
        if split and str(row.get("split") or split) != split:
            continue
        labels = [_class_index(where, text, index) for text in _texts(row.get("label"), multi_label)]
        if len(labels) > 1 and not multi_label:
            raise InputError(f"{where}: {len(labels)} labels where one is expected; pass multi_label=True for several.")
        label = tuple(labels) if multi_label else (labels[0] if labels else None)
        start, end = (_seconds(where, row.get(key)) for key in ("start", "end"))
        records.append(VideoRecord(_joined(base / folder, str(row["path"])), label, start, end))
    if not records:
        raise InputError(f"{path} has no video of the split {split!r}.")
    return Parsed(records, classes)


def _other_tables(path: Path, table: _Table, read: Callable[[Path], _Table]) -> Iterator[_Table]:
    """The files of the other splits; none beside a file that is not named after one."""
    for other in sorted(path.parent.glob(f"*{path.suffix}")):
        if other == path or not (_is_of_a_split(path.stem) and _is_of_a_split(other.stem)):
            continue
        try:
            found = read(other)
        except InputError:  # told when it is read for itself; if it is of another kind, never
            continue
        if found.header or not table.header:  # without a column of paths it is something else
            yield found


def _is_of_a_split(name: str) -> bool:
    """Whether one of the usual names of splits is a word of it, as in "fold1_train"."""
    return not set(_SPLIT_NAMES).isdisjoint(re.split(r"[^a-z]+", name.lower()))


def _csv_table(path: Path) -> _Table:
    rows = read_csv(path)
    if not rows:
        raise InputError(f"{path} is empty.")
    names = rows[0][1]
    columns = _columns(path, names)
    header = "path" in columns
    if not header:
        names, columns = names[:2], {"path": 0, "label": 1}
    found = []
    for number, row in rows[header:]:
        if len(row) < min(len(names), 2):
            raise InputError(f"{path}, line {number}: expected {len(names)} columns, not {len(row)}.")
        found.append((f"{path}, line {number}", {k: row[i].strip() for k, i in columns.items() if i < len(row)}))
    return _Table(found, header=header)


def _json_table(path: Path) -> _Table:
    content = read_json(path)
    classes = tuple(content.get("classes", ())) if isinstance(content, dict) else ()
    items = content.get("videos") if isinstance(content, dict) else content
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise InputError(f'{path} must hold a list of {{"path": ..., "label": ...}}, or these as "videos".')
    names = list(dict.fromkeys(name for item in items for name in item))
    columns = _columns(path, names)
    rows = [{key: item.get(names[i]) for key, i in columns.items()} for item in items]
    return _Table([(f"{path}, entry {number}", row) for number, row in enumerate(rows, 1)], classes)


def _columns(path: Path, names: Sequence[str]) -> dict[str, int]:
    """Which column is what.

    Raises:
        InputError: there is one of paths, but which is that of labels cannot be said.
    """
    names = [name.strip().lower() for name in names]
    known = {key: [name for name in synonyms if name in names] for key, synonyms in _COLUMNS.items()}
    others = [name for name in names if name and not any(name in found for found in known.values())]
    if known["path"] and not known["label"] and others:
        raise InputError(
            f"{path} has a column of paths, but none of labels: call it 'label', or leave out {' and '.join(others)}."
        )
    return {key: names.index(found[0]) for key, found in known.items() if found}


def _texts(label: Any, multi_label: bool) -> list[Any]:
    if label is None or label == "" or label != label:  # NaN, as pandas writes what is missing
        return []
    if isinstance(label, list):
        return label
    return [part.strip() for part in str(label).split("|")] if multi_label else [label]


def _class_index(where: str, label: Any, index: dict[str, int]) -> int:
    text = str(label)
    if text in index:
        return index[text]
    number = float(text) if _NUMBER.fullmatch(text) else -1.0
    if number >= 0 and number.is_integer() and (not index or number < len(index)):
        return int(number)
    if index:
        raise InputError(f"{where}: {label!r} is none of the {len(index)} classes.")
    raise InputError(f"{where}: labels that are numbers must be whole and from 0, not {label!r}; empty where unknown.")


def _seconds(where: str, value: Any) -> float | None:
    try:
        seconds = math.nan if value in (None, "") else float(value)
    except (TypeError, ValueError):
        raise InputError(f"{where}: start and end must be seconds, not {value!r}.") from None
    return None if math.isnan(seconds) else seconds


def read_classes(folder: Path) -> tuple[str, ...]:
    """The names of classes in its ``classes.txt``, one a line; () without such a file."""
    path = folder / "classes.txt"
    return tuple(line for _, line in read_lines(path)) if path.is_file() else ()


def _json_list(path: str | Path) -> list[Any]:
    content = read_json(path)
    if not isinstance(content, list):
        raise InputError(f"{path} must hold a list, not {type(content).__name__}.")
    return content


# ------------------------------------------------------------------------------------------------- WebDataset's shards


def parse_shards(root: Path, split: str) -> Parsed:
    """Samples in tar files: files of the same name up to the first dot of it, ``KEY.mp4`` and ``KEY.cls`` (a number),
    ``KEY.txt`` (a number or a name) or ``KEY.json`` ({"label": number or name}).

    Names are numbered in the order of the alphabet over the shards of all splits, or as in ``classes.txt``.
    ``root`` is a folder, of which ``SPLIT/*.tar`` or ``SPLIT*.tar`` are read; or a tar file, or a pattern such as
    ``train-{000..012}.tar``, whose other splits are looked for beside it by their names. The tables of contents are
    read once; samples are then taken from any place.

    Raises:
        InputError: there are no shards, or a sample has no video or a label that cannot be read.
    """
    shards = _shards(root, split)
    samples, folder = _samples(shards), root
    if not root.is_dir():
        folder = root.parent.parent if root.parent.name in _SPLIT_NAMES else root.parent
    classes = read_classes(folder)
    if not classes and any(isinstance(label, str) for _, label in samples):

        def counts(path: Path) -> bool:  # what lies beside a file may be anything
            return root.is_dir() or _is_of_a_split(os.path.relpath(path, folder))

        # names are numbered over the shards of all splits, or train and val would differ
        others = {str(path) for path in folder.rglob("*.tar") if counts(path)} if counts(root) else set()
        every = samples + _samples(sorted(others - set(shards)))
        classes = tuple(sorted({label for _, label in every if isinstance(label, str)}))
    index = {name: i for i, name in enumerate(classes)}
    if unknown := [label for _, label in samples if isinstance(label, str) and label not in index]:
        raise InputError(f"{root}: {unknown[0]!r} is none of the {len(index)} classes.")
    return Parsed([VideoRecord(path, index.get(label, label)) for path, label in samples], classes)


def _samples(shards: Iterable[str]) -> list[tuple[str, Any]]:
    """(path of the video, label: class number, class name, several numbers, or None) of every sample."""
    samples: list[tuple[str, Any]] = []
    for shard in shards:
        groups: dict[str, dict[str, str]] = {}
        for member in list_members(shard):
            folder, slash, name = member.rpartition("/")
            key, _, suffix = name.partition(".")
            groups.setdefault(folder + slash + key, {})[f".{suffix.lower()}"] = f"{shard}{SEPARATOR}{member}"
        for key, parts in groups.items():
            video = next((path for suffix, path in parts.items() if suffix.endswith(VIDEO_SUFFIXES)), None)
            if video is None:
                raise InputError(f"{shard}: sample {key!r} has no video, only {', '.join(parts)}.")
            samples.append((video, _shard_label(shard, key, parts)))
    return samples


def _shards(root: Path, split: str) -> list[str]:
    if match := re.fullmatch(r"(.*)\{(\d+)\.\.(\d+)\}(.*)", str(root)):
        head, first, last, tail = match.groups()
        return [f"{head}{i:0{len(first)}d}{tail}" for i in range(int(first), int(last) + 1)]
    if root.is_file():
        return [str(root)]
    found = sorted((root / split).glob("*.tar")) or sorted(root.glob(f"{split}*.tar"))
    if not found:
        raise InputError(f"there are no shards {split}/*.tar or {split}*.tar in {root}.")
    return [str(path) for path in found]


def _shard_label(shard: str, key: str, parts: dict[str, str]) -> Label | str:
    for suffix in (".cls", ".json", ".txt"):
        if suffix not in parts:
            continue
        text = open_member(parts[suffix]).read().decode("utf-8", "replace").strip()
        try:
            label = json.loads(text)["label"] if suffix == ".json" else text
        except (ValueError, KeyError, TypeError):
            raise InputError(f'{shard}: {key + suffix!r} must hold {{"label": ...}}, not {text[:80]!r}.') from None
        if isinstance(label, list):
            if not all(isinstance(part, int) for part in label):
                raise InputError(f"{shard}: several labels of {key + suffix!r} must be numbers, not {label!r}.")
            return tuple(label)
        return _class_index(f"{shard}: {key + suffix!r}", label, {}) if _NUMBER.fullmatch(str(label)) else str(label)
    return None


_OWN = {"task": "recognition", "homepage": "", "license": "", "num_classes": 0}

DATASETS = (
    DatasetInfo(
        name="folder",
        title="Folders of classes",
        parse=parse_folders,
        splits=(),
        layout="SPLIT/CLASS/VIDEO or CLASS/VIDEO: videos or folders of frame images;\n"
        f"the root may be an archive ({', '.join(ARCHIVE_SUFFIXES)}) with these inside",
        **_OWN,
    ),
    DatasetInfo(
        name="csv",
        title="A CSV file",
        parse=parse_table,
        splits=(),
        layout="FILE.csv, or SPLIT.csv in the root: columns path, label, and if wanted split, start, end\n"
        "classes.txt: optional",
        options={"kind": "csv"},
        **_OWN,
    ),
    DatasetInfo(
        name="json",
        title="A JSON file",
        parse=parse_table,
        splits=(),
        layout='FILE.json, or SPLIT.json in the root: [{"path": ..., "label": ...}, ...]\nclasses.txt: optional',
        options={"kind": "json"},
        **_OWN,
    ),
    DatasetInfo(
        name="video_list",
        title="MMAction2's list of videos",
        parse=parse_list,
        splits=(),
        layout="SPLIT.txt: a line 'file label' for each video\nclasses.txt: optional",
        **_OWN,
    ),
    DatasetInfo(
        name="frame_list",
        title="MMAction2's list of frame folders",
        parse=parse_list,
        splits=(),
        layout="SPLIT.txt: a line 'folder frames label' for each video\nclasses.txt: optional",
        options={"frames": True},
        **_OWN,
    ),
    DatasetInfo(
        name="webdataset",
        title="WebDataset shards",
        parse=parse_shards,
        splits=(),
        layout="SPLIT/*.tar or SPLIT*.tar, or a pattern such as shard-{000..012}.tar:\n"
        "KEY.mp4 with KEY.cls, KEY.txt or KEY.json",
        **_OWN,
    ),
)
