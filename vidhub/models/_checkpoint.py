"""Loading a checkpoint of any known layout into a network, strictly."""

from __future__ import annotations

import logging
from pathlib import Path

from torch import Tensor, nn

from ..errors import WeightsError
from ..weights.keys import convert
from ..weights.resolve import read_state_dict

_logger = logging.getLogger("vidhub")


def load_checkpoint(model: nn.Module, path: str | Path) -> None:
    """Load the weights in ``path`` into ``model``.

    The layout (vidhub, MMAction2, PyTorchVideo, torchvision, Hugging Face) is found out from the keys; every key of the
    file must be known and every weight of the network filled. Position embeddings are resized to the network's.

    Raises:
        FileNotFoundError: no such file.
        WeightsError: the file cannot be read safely, or holds another network's weights.
    """
    load_state_dict(model, read_state_dict(path))


def load_state_dict(
    model: nn.Module, state: dict[str, Tensor], *, new_classifier: bool = False, source: nn.Module | None = None
) -> None:
    """Load ``state``, of any known layout, into ``model``.

    With ``new_classifier`` one of other classes is left out, with a warning. ``source`` is the network that the state
    is of, where it is known: positions are resized from its grid.
    """
    state = convert(state, model)
    if hasattr(model, "adapt_state_dict"):  # position embeddings, for other frames and sizes
        state = model.adapt_state_dict(state, source)
    own = model.state_dict()
    prefixes = _class_dependent(model)
    classifier = {k: v for k, v in own.items() if k.startswith(prefixes)}
    theirs = {k: v for k, v in state.items() if k.startswith(prefixes)}
    if new_classifier and _shapes(theirs) != _shapes(classifier):
        state = {k: v for k, v in state.items() if k not in theirs} | classifier
        if classifier:
            _logger.warning(
                "the classifier is new and untrained: the checkpoint's classes are not the %d asked for.",
                model.num_classes,
            )
    missing, unexpected = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing or unexpected:
        parts = [f"{what} {_some(keys)}" for what, keys in (("lacks", missing), ("has unknown", unexpected)) if keys]
        raise WeightsError(f"this checkpoint is not one of {_describe(model)}: it {' and '.join(parts)}.")
    wrong = [k for k in own if own[k].shape != state[k].shape]
    if wrong and set(wrong) <= classifier.keys():
        # some classifiers have a row more than classes
        classes = model.num_classes + state[wrong[0]].shape[0] - own[wrong[0]].shape[0]
        raise WeightsError(
            f"the checkpoint has {classes} classes and the model {model.num_classes}: "
            f"create the model with num_classes={classes} and call reset_classifier after loading."
        )
    if wrong:
        raise WeightsError(
            f"this checkpoint is not one of {_describe(model)}: {wrong[0]} is {tuple(state[wrong[0]].shape)} there and "
            f"{tuple(own[wrong[0]].shape)} here."
        )
    model.load_state_dict(state, strict=True)


def _class_dependent(model: nn.Module) -> tuple[str, ...]:
    """What the names of the weights begin with that depend on the classes; a network of several classifiers says so."""
    if not hasattr(model, "get_classifier"):
        return ()
    if hasattr(model, "class_dependent"):
        return model.class_dependent
    classifier = model.get_classifier()
    return (next(f"{name}." for name, module in model.named_modules() if module is classifier),)


def _shapes(state: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in state.items()}


def _describe(model: nn.Module) -> str:
    return getattr(model, "arch", type(model).__name__)


def _some(keys: list[str]) -> str:
    return f"{keys[0]!r}" + (f" and {len(keys) - 1} more" if len(keys) > 1 else "")
