"""Every published checkpoint, one table a family. The first entry of an architecture is its default."""

import fnmatch

from ...errors import unknown_name
from ..types import Weights
from . import conv3d, detection, embedded, frames, hierarchy, localization, skeleton, uniformer, vit
from .embedded import EMBEDDED as EMBEDDED

_TABLES = (
    conv3d.TABLE,
    frames.TABLE,
    hierarchy.TABLE,
    uniformer.TABLE,
    vit.TABLE,
    skeleton.TABLE,
    localization.TABLE,
    detection.TABLE,
    embedded.TABLE,
)
WEIGHTS: dict[str, Weights] = {w.name: w for table in _TABLES for w in table}


def list_pretrained(pattern: str = "*") -> list[str]:
    """Every ``"arch.tag"`` that matches ``pattern`` (shell wildcards), sorted."""
    return fnmatch.filter(sorted(WEIGHTS), pattern)


def get_weights(name: str) -> Weights:
    """The checkpoint called ``"arch.tag"``, or the default one of ``"arch"``.

    Raises:
        UnknownNameError: no such checkpoint; near names are suggested.
    """
    if name in WEIGHTS:
        return WEIGHTS[name]
    for weights in WEIGHTS.values():
        if weights.arch == name:
            return weights
    raise unknown_name("weights", name, [*WEIGHTS, *{w.arch for w in WEIGHTS.values()}])
