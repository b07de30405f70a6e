"""How a data set is described: where it is had, what it looks like on disk, and how it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple


class Parsed(NamedTuple):
    """What a parse function returns."""

    records: list[Any]  # VideoRecord, SegmentsRecord, BoxesRecord, PoseRecord ...
    classes: tuple[str, ...]  # class names in index order; () where none are known
    categories: dict[str, int] = {}  # noqa: RUF012, never changed; of labels by category, the number of tags in each


@dataclass(frozen=True)
class DatasetInfo:
    """One data set of ``create_dataset``."""

    name: str  # "hmdb51"
    title: str  # "HMDB51"
    task: str  # recognition | localization | detection | skeleton | audio
    parse: Callable[..., Parsed]  # parse(root: Path, split: str, **options), reads annotation files only
    splits: tuple[str, ...]  # the first is for training
    homepage: str
    license: str  # of the data, as its publisher states it
    layout: str  # the files and folders expected under the root, one a line
    num_classes: int
    paper: str = ""
    own_splits: bool = False  # files may have other splits than the usual ones in `splits`, or none
    counts: dict[str, int] = field(default_factory=dict)  # split: published number of records
    options: dict[str, Any] = field(default_factory=dict)  # keyword arguments of `parse`, unless others are given

    def read(self, root: str | Path, split: str, **options: Any) -> Parsed:
        """The records and class names of ``split`` under ``root``."""
        return self.parse(Path(root), split, **{**self.options, **options})
