"""Model names to entry points. A module of models is imported when one of its names is first built."""

from __future__ import annotations

import fnmatch
import importlib
from collections.abc import Callable

from ..errors import check_choice, unknown_name
from ..weights.tables import WEIGHTS
from ._index import MODULE_OF, MODULES, TASK_OF

_ENTRY_POINTS: dict[str, Callable] = {}


def register_model(entry_point: Callable) -> Callable:
    """Decorator of an entry point; its name and file must be listed in ``_index.py``."""
    name, module = entry_point.__name__, entry_point.__module__.rsplit(".", 1)[-1]
    if MODULE_OF.get(name) != module:
        raise RuntimeError(f"{name} of {module}.py is not listed under that file in vidhub/models/_index.py")
    _ENTRY_POINTS[name] = entry_point
    return entry_point


def entry_point(name: str) -> Callable:
    """The function that builds ``name``.

    Raises:
        UnknownNameError: there is no such model.
    """
    check_choice("model", name, MODULE_OF)
    if name not in _ENTRY_POINTS:
        importlib.import_module(f".{MODULE_OF[name]}", __package__)
    return _ENTRY_POINTS[name]


def list_models(
    pattern: str = "*",
    *,
    task: str | None = None,
    pretrained: bool = False,
    commercial_use: bool | None = None,
) -> list[str]:
    """Sorted names of models.

    Args:
        pattern: shell wildcards, for example ``"slow*"``.
        task: only models of this task: recognition, localization, detection, skeleton or audio.
        pretrained: only models with published weights.
        commercial_use: only models with weights whose licence allows (True) or forbids (False) commercial use.
    """
    if task is not None and task not in (tasks := {task for task, _ in MODULES.values()}):
        raise unknown_name("task", task, tasks)
    names = fnmatch.filter(sorted(MODULE_OF), pattern)
    if pretrained or commercial_use is not None:
        published = {w.arch for w in WEIGHTS.values() if commercial_use in (None, w.commercial_use)}
        names = [n for n in names if n in published]
    return [n for n in names if task in (None, TASK_OF[n])]
