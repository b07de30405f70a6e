"""The data sets by name: ``create_dataset``, and what is known of each."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import InputError, VidhubError, check_choice, in_one_line, unknown_name
from .archives import SEPARATOR
from .check import CheckReport, check_videos, read_bad_files, write_bad_files
from .dataset import RecordDataset, VideoDataset
from .info import DatasetInfo
from .records import BoxesRecord, PoseRecord, VideoRecord

_MODULES = ("recognition", "lists", "localization", "proposals", "detection", "skeleton", "audio")
_OF_VIDEOS = ("recognition", "skeleton", "audio")  # tasks that give a label to a video
_IN_A_LINE = re.compile(r", (line|item) \d")  # in what readers say of files that are there
BAD_FILES = "bad_files.txt"  # under a data set's root: what `vidhub check` found, left out by `create_dataset`


def list_datasets(task: str | None = None) -> list[DatasetInfo]:
    """Every data set that ``create_dataset`` knows, of one task or of all."""
    modules = (importlib.import_module(f".{name}", __package__) for name in _MODULES)
    return [info for module in modules for info in module.DATASETS if task in (None, info.task)]


def dataset_info(name: str) -> DatasetInfo:
    """What is known of data set ``name``.

    Raises:
        UnknownNameError: there is none of this name; near names are suggested.
    """
    known = {info.name: info for info in list_datasets()}
    check_choice("data set", name, known)
    return known[name]


def create_dataset(
    name: str,
    root: str | os.PathLike,
    split: str = "train",
    transform: Callable[[Any], Any] | None = None,
    *,
    bad_files: str | os.PathLike | bool = True,
    **options: Any,
) -> VideoDataset | RecordDataset:
    """A data set by name, read from the publisher's own annotation files.

    Args:
        name: see ``vidhub data list``; also "folder", "csv", "json", "video_list", "frame_list", "webdataset".
        root: its folder; ``vidhub data info NAME`` shows the expected layout.
        split: such as "train" or "val"; each data set names its own. "": all of a file of one's own.
        transform: of ``create_transform``; see ``VideoDataset`` and ``RecordDataset``.
        bad_files: a list that ``vidhub check`` wrote, whose videos are left out; True: ``bad_files.txt`` under the
            root (beside it, if that is no folder), where there is one; False: none.
        options: of the data set's parse function.

    Returns:
        A ``VideoDataset`` for recognition, of videos, sounds or skeletons, else a ``RecordDataset``.

    Raises:
        UnknownNameError: no such data set or split.
        InputError: a file is missing or malformed, or an option is not known.
    """
    info, root = dataset_info(name), Path(root)
    if not root.exists() and "{" not in root.name:  # a pattern of shards
        raise InputError(f"there is no folder {str(root)!r} for the data set {name!r}.")
    if info.splits and not info.own_splits and split not in info.splits:
        raise unknown_name(f"split of {name}", split, info.splits)
    try:
        parsed = info.read(root, split, **options)
    except TypeError as error:
        if "keyword argument" not in str(error):
            raise
        raise InputError(f"the data set {name!r} does not take this option: {error}.") from None
    records, classes = parsed.records, parsed.classes
    listed = _bad_files_of(root) if bad_files is True else bad_files
    if listed and (bad_files is not True or Path(listed).exists()):
        bad = set(read_bad_files(listed))
        records = [record for record in records if bad.isdisjoint(_names(record))]
    if info.task in _OF_VIDEOS or (records and isinstance(records[0], (VideoRecord, PoseRecord))):
        options = {"categories": parsed.categories, "num_classes": parsed.num_classes}
        return VideoDataset(records, transform, classes=classes, **options)
    return RecordDataset(records, transform, classes=classes, protocol=parsed.protocol)


def _bad_files_of(root: Path) -> Path:
    return (root if root.is_dir() else root.parent) / BAD_FILES  # of a file or a pattern of shards beside it


def _names(record: Any) -> set[str]:
    """Under which a list may have a record: that of its file, and where it is a part that of the part."""
    names = {getattr(record, "path", None), getattr(record, "name", None)} - {None}
    return {os.path.abspath(name) for name in names}


@dataclass(frozen=True)
class Survey:
    """What a folder holds of one split of a data set."""

    split: str
    records: int
    published: int | None  # how many the publisher counts; None: not known
    missing: int  # records without a file
    problem: str = ""  # why the split cannot be read

    @property
    def complete(self) -> bool:
        """Everything that the annotation files list is there."""
        return not self.missing and not self.problem

    def cells(self) -> dict[str, str]:
        """For a table."""
        published = "-" if self.published is None else str(self.published)
        state = self.problem or ("complete" if self.complete else f"{self.missing} files are missing")
        numbers = {"records": str(self.records), "published": published, "missing": str(self.missing)}
        return {"split": self.split, **numbers, "state": state}


def survey(name: str, root: str | os.PathLike) -> list[Survey]:
    """Read the annotation files of every split under ``root`` and look for the files that they list.

    Splits of which there is nothing at all are left out, unless that is so for every one; those whose files have an
    error in a line are not.
    """
    info, found, absent = dataset_info(name), [], []
    for split in info.splits or ("train", "val", "test"):
        published = info.counts.get(split)
        try:
            records = create_dataset(name, root, split, bad_files=False).records
        except (VidhubError, OSError) as error:
            problem = in_one_line(error)
            (found if _IN_A_LINE.search(problem) else absent).append(Survey(split, 0, published, 0, problem))
            continue
        paths = {path for record in records if (path := getattr(record, "path", None))}
        missing = sum(not os.path.exists(path.partition(SEPARATOR)[0]) for path in paths)
        found.append(Survey(split, len(records), published, missing))
    return found or absent


def check_dataset(
    name: str, root: str | os.PathLike, split: str | None = None, *, full: bool = True, workers: int | None = None
) -> tuple[CheckReport, Path | None]:
    """Decode the videos of a split, or of all that are there, and list the bad ones in ``bad_files.txt``.

    Of boxes of one's own, the rows are checked too.

    Returns:
        The report, and the path of the list; None where it cannot be written.

    Raises:
        InputError: the data set is not one of videos.
    """
    info = dataset_info(name)
    surveys = [] if split else survey(name, root)
    ours = [found.split for found in surveys if not found.problem or (info.check and _IN_A_LINE.search(found.problem))]
    splits = [split] if split else ours
    if not splits:
        raise InputError(surveys[0].problem)
    records: dict[str, VideoRecord] = {}
    for part in splits:
        try:
            data = create_dataset(name, root, part, bad_files=False)
        except InputError:
            if not info.check:
                raise
            continue  # told with all others below
        for record in data.records:
            if isinstance(record, BoxesRecord):
                record = VideoRecord(record.path)
            if not isinstance(record, VideoRecord):
                raise InputError(f"{name!r} is not a data set of videos, so there is nothing to decode.")
            records[record.name] = record
    report = check_videos(list(records.values()), workers=workers, full=full)
    path = _bad_files_of(Path(root))
    if report.bad or path.exists():
        try:
            write_bad_files(report, path)
        except OSError:  # no reason to lose what was found
            path = None
    if info.check:
        bad = {name for name, _ in report.bad}
        problems = [problem for part in splits for problem in info.check(Path(root), part, bad)]
        report = replace(report, problems=problems)
    return report, path
