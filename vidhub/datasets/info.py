"""How a data set is described: where it is had, what it looks like on disk, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from .records import BoxProtocol


class Parsed(NamedTuple):
    """What a parse function returns."""

    records: list[Any]  # VideoRecord, SegmentsRecord, BoxesRecord, PoseRecord ...
    classes: tuple[str, ...]  # class names in index order; () where none are known
    categories: dict[str, int] = {}  # noqa: RUF012, never changed; of labels by category, the number of tags in each
    protocol: BoxProtocol | None = None  # of boxes
    num_classes: int = 0  # where they have no names, if it is known


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
    # `check(root, split, bad files)`: all that is wrong in a split's annotation, where it is one's own
    check: Callable[[Path, str, Collection[str]], list[str]] | None = None

    @property
    def measured_split(self) -> str:
        """The split that scores are of: "val", else "test"."""
        return "test" if "val" not in self.splits and "test" in self.splits else "val"

    def read(self, root: str | Path, split: str, **options: Any) -> Parsed:
        """The records and class names of ``split`` under ``root``."""
        return self.parse(Path(root), split, **{**self.options, **options})
