"""Annotation files as plain Python objects: lines of text, JSON and pickles. A pickle is read but never run."""

from __future__ import annotations

import codecs
import collections
import csv
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError


def read_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """(number from 1, text without blanks at its ends) of every line that is not empty, UTF-8.

    Raises:
        InputError: the file is missing or not text.
    """
    path = existing(path)
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line := line.strip():
                    yield number, line
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text; save it as UTF-8.") from None


def read_csv(path: str | Path, delimiter: str = ",") -> list[tuple[int, list[str]]]:
    """(number from 1, cells) of every line that is not empty, UTF-8.

    Raises:
        InputError: the file is missing or not text.
    """
    path = existing(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(enumerate(csv.reader(file, delimiter=delimiter), 1))
    except (UnicodeDecodeError, csv.Error):
        raise InputError(f"{path} is not UTF-8 text with fields separated by {delimiter!r}; save it so.") from None
    return [(number, row) for number, row in rows if any(cell.strip() for cell in row)]


def read_json(path: str | Path) -> Any:
    """What a JSON file holds.

    Raises:
        InputError: the file is missing or malformed; with the line.
    """
    path = existing(path)
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text; save it as UTF-8.") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: not valid JSON ({error.msg}).") from None


def read_pickle(path: str | Path) -> Any:
    """What a pickle of plain Python values and NumPy arrays holds, whichever NumPy or Python wrote it.

    Nothing else is built or called: a file that asks for another class or function is refused.

    Raises:
        InputError: the file is missing, damaged, or names a class that annotations do not need.
    """
    path = existing(path)
    with path.open("rb") as file:
        try:
            # latin1 is what NumPy arrays and strings of Python 2 need, and changes nothing in later files
            return _PlainUnpickler(file, encoding="latin1").load()
        except _Refused as error:
            raise InputError(
                f"{path} asks for {error}, which is neither a plain value nor a NumPy array; get a clean file."
            ) from None
        except (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise InputError(f"{path} is not a readable pickle ({error}); get the file again.") from None


def existing(path: str | Path) -> Path:
    """``path`` if it is a file.

    Raises:
        InputError: it is not.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no file {path}; check the folder of the data set.")
    return path


class _Refused(Exception):
    """The class or function that a pickle must not have."""


def _encode(text: str, encoding: str = "latin1") -> bytes:
    # how protocols below 3 write bytes; other codecs would do more than that
    if encoding != "latin1":
        raise _Refused(f"the codec {encoding}")
    return codecs.latin_1_encode(text)[0]


def _empty_array(*_: Any) -> np.ndarray:
    # its contents follow as state, which NumPy checks; its own constructors would trust addresses in the file
    return np.empty(0)


_CONTAINERS = (set, frozenset, list, dict, tuple, slice, bytes, bytearray, int, float, complex)
_SAFE = {
    ("numpy", "ndarray"): "numpy.ndarray",  # only ever an argument
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,
    ("numpy.core.multiarray", "scalar"): np.float64().__reduce__()[0],
    ("numpy.core.numeric", "_frombuffer"): np.empty(1).__reduce_ex__(5)[0],
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): collections.defaultdict,
    **{("builtins", t.__name__): t for t in _CONTAINERS},
}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        # NumPy 2 and Python 3 renamed these
        module = {"__builtin__": "builtins"}.get(module, module.replace("numpy._core", "numpy.core"))
        known = _SAFE.get((module, name))
        if known is None:
            raise _Refused(f"{module}.{name}")
        return known
