"""Lists of sound files or stored spectrograms with labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..errors import InputError
from ..weights.types import read_labels
from .info import DatasetInfo, Parsed
from .lists import read_classes, split_lines
from .records import VideoRecord


def read_audio_list(
    path: str | Path,
    *,
    folder: str | Path = "",
    delimiter: str = " ",
    multi_label: bool = False,
    num_classes: int | None = None,
) -> list[VideoRecord]:
    """The records of a text file with a line ``file frames label`` for each sound.

    Args:
        folder: file names are relative to it.
        delimiter: between the fields; with another than a blank, file names may hold blanks.
        multi_label: several labels may follow, and ``record.label`` is a tuple.
        num_classes: if given, labels must be below it.

    Raises:
        InputError: the file is missing, or a line lacks the label, has a bad number, or more labels than allowed.

    The format is MMAction2's. Files are sound, or stored log-mel spectrograms (``.npy``); ``frames`` is the number of
    frames of the video they belong to, of which nothing depends here.
    """
    records = []
    for where, (name, *rest) in split_lines(path, delimiter):
        line = delimiter.join([name, *rest])
        if len(rest) < 2 or (len(rest) > 2 and not multi_label):
            wanted = "file, frames and labels" if multi_label else "file, frames and one label"
            raise InputError(f"{where}: expected {wanted}, not {line!r}.")
        try:
            frames, *labels = map(int, rest)
        except ValueError:
            raise InputError(f"{where}: the number of frames and the labels must be whole numbers: {line!r}.") from None
        if frames < 1 or min(labels) < 0:
            raise InputError(f"{where}: expected at least one frame and labels from 0, not {line!r}.")
        if num_classes is not None and max(labels) >= num_classes:
            raise InputError(f"{where}: label {max(labels)} is beyond the {num_classes} classes.")
        label = tuple(labels) if multi_label else labels[0]
        records.append(VideoRecord(str(Path(folder, name)), label, num_frames=frames))
    return records


def parse_audio_list(
    root: Path, split: str, *, annotation: str, folder: str, label_set: str | None = None, **options: Any
) -> Parsed:
    """:func:`read_audio_list` of ``annotation`` under ``root``; "{split}" in it and in ``folder`` is filled in.

    The names of classes are those of ``label_set``, or of ``root/classes.txt``.
    """
    classes = read_labels(label_set) if label_set else read_classes(root)
    options = {"folder": root / folder.format(split=split), "num_classes": len(classes) or None, **options}
    records = read_audio_list(root / annotation.format(split=split), **options)
    return Parsed(records, classes, num_classes=options["num_classes"] or 0)


DATASETS = (
    DatasetInfo(
        name="kinetics400_audio",
        title="Kinetics-400 sound",
        task="audio",
        parse=parse_audio_list,
        splits=("train", "val"),
        homepage="https://github.com/cvdfoundation/kinetics-dataset",
        license="annotations CC-BY-4.0; the sound belongs to the uploaders",
        layout="kinetics400_{split}_list_audio_features.txt: a line 'file frames label' for each video\n"
        "audio_features_{split}/: the spectrograms of these files",
        num_classes=400,
        paper="https://arxiv.org/abs/1705.06950",
        options={
            "annotation": "kinetics400_{split}_list_audio_features.txt",
            "folder": "audio_features_{split}",
            "label_set": "kinetics400",
        },
    ),
    DatasetInfo(
        name="audio_list",
        title="sounds of one's own",
        task="audio",
        parse=parse_audio_list,
        splits=("train", "val", "test"),
        homepage="",
        license="",
        layout="{split}.txt: a line 'file frames label' for each sound, with labels from 0\n"
        "the files, relative to the root: sound, or spectrograms (.npy)\nclasses.txt: optional",
        num_classes=0,
        options={"annotation": "{split}.txt", "folder": ""},
    ),
)
