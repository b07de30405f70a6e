"""The log of a run: a CSV file, TensorBoard, and the rows themselves for the report."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from .._files import write_whole


class RunLog:
    """Rows of numbers, each with its ``step``, written to ``folder/log.csv`` and to TensorBoard as they come.

    Args:
        rows: those of the run so far, where it goes on from a checkpoint; what the file holds beyond them is dropped.
        tensorboard: needs the package of that name; without it there is only the file.
    """

    def __init__(self, folder: Path, rows: list[dict[str, Any]], tensorboard: bool = True):
        self.path = folder / "log.csv"
        self.rows = rows
        self.columns: list[str] = []
        self.board = _board(folder, rows) if tensorboard else None
        self._rewrite()

    def add(self, row: dict[str, Any]) -> None:
        """One row; new columns may appear at any time."""
        self.rows.append(row)
        if set(row) <= set(self.columns):
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self.columns).writerow(row)
        else:
            self._rewrite()
        if self.board:
            for name, value in row.items():
                if name not in ("step", "epoch"):
                    self.board.add_scalar(name, value, row["step"])

    def close(self) -> None:
        if self.board:
            self.board.close()

    def _rewrite(self) -> None:
        self.columns = list(dict.fromkeys(name for row in self.rows for name in row))
        file = io.StringIO(newline="")
        writer = csv.DictWriter(file, self.columns)
        writer.writeheader()
        writer.writerows(self.rows)
        write_whole(self.path, file.getvalue())


def _board(folder: Path, rows: list[dict[str, Any]]):
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(folder / "tensorboard", purge_step=rows[-1]["step"] + 1 if rows else None)
