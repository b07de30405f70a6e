"""The errors vidhub raises on purpose: each message is one sentence that says what is wrong and what to do."""

import difflib
from collections.abc import Iterable

_FEW = 8  # names that an error lists


class VidhubError(Exception):
    """Base of all errors below; the command line prints it without a traceback and exits with 2."""


class UnknownNameError(VidhubError, LookupError):
    """A model, weights, label set or option name that does not exist."""


class VideoError(VidhubError, ValueError):
    """A file or stream that cannot be read as video."""


class WeightsError(VidhubError, RuntimeError):
    """A checkpoint that cannot be fetched, verified or loaded into the model."""


class InputError(VidhubError, ValueError):
    """An argument of the wrong kind, shape or value."""


def in_one_line(error: BaseException) -> str:
    """What ``error`` says, on one line; its kind where it says nothing."""
    text = str(error)
    if isinstance(error, VidhubError) and text.startswith("Caught "):  # a loader worker's, with its traceback
        text = text.strip().rpartition("\nvidhub.errors.")[2].partition(": ")[2] or text
    return " ".join(text.split()) or type(error).__name__


def from_worker(error: VidhubError) -> VidhubError:
    """The same without the traceback that a loader worker's error carries in its text."""
    return type(error)(in_one_line(error))


def check_choice(kind: str, value: object, known: Iterable[object]) -> None:
    """Raise the error of :func:`unknown_name` where ``value`` is none of those ``known``."""
    known = list(known)
    if value not in known:
        raise unknown_name(kind, str(value), map(str, known))


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """The error for ``name``, suggesting up to three near names out of ``known``, or naming all where they are few."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(repr(n) for n in near)}?" if near else "."
    if not near and 0 < len(known) <= _FEW:
        hint = f": it is one of {', '.join(map(repr, known))}."
    return UnknownNameError(f"unknown {kind} {name!r}{hint}")
