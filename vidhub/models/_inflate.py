"""Image networks of timm as a start for video ones."""

from __future__ import annotations

import re

from torch import Tensor, nn

from ..errors import InputError, WeightsError
from ..weights.resolve import offline


def load_image_weights(model: nn.Module, source: str) -> None:
    """Fill a video network with the weights of timm's image network, e.g. ``"timm:resnet50.a1_in1k"``.

    The backbone of a frame network takes them as they are. For a 3D ResNet each kernel is repeated along time and
    divided by its temporal length, so that a still clip gives the image network's features (Carreira and Zisserman,
    "Quo Vadis, Action Recognition?", CVPR 2017). The classifier stays new.

    Raises:
        InputError: not a "timm:" name, or a network without such a counterpart.
        WeightsError: timm's network does not fit this one, or its weights cannot be had.
    """
    kind, _, name = source.partition(":")
    if kind != "timm" or not name:
        raise InputError(f"pretrained={source!r} is not understood: use True, False or 'timm:NAME' (timm:resnet50).")
    by_frame = hasattr(model, "load_image_weights")
    if not by_frame and type(model).__name__ != "ResNet3D":
        raise InputError(
            f"{model.arch} has no image network to start from; the C2D, I3D, SlowOnly and frame networks have."
        )
    import timm

    if not timm.is_model(name.split(".")[0]):
        raise InputError(f"timm has no model {name!r}; timm.list_models('resnet*') lists them.")
    source = {"pretrained_cfg_overlay": {"file": _cached(name, variable)}} if (variable := offline()) else {}
    try:
        image_model = timm.create_model(name, pretrained=True, in_chans=model.in_chans, **source)
    except Exception as error:  # timm lets the errors of whichever client it downloads with through
        raise WeightsError(f"timm could not give the weights of {name!r}: {error}") from error
    if by_frame:
        model.load_image_weights(image_model.state_dict())
    else:
        inflate_state_dict(model, image_model.state_dict())


def _cached(name: str, variable: str) -> str:
    """The file of timm's weights in the cache of the Hub's client, which timm itself would ask the Hub about."""
    from huggingface_hub import try_to_load_from_cache
    from timm.models import get_pretrained_cfg

    published = get_pretrained_cfg(name)
    found = None
    if published and published.hf_hub_id:
        repository, _, revision = published.hf_hub_id.partition("@")
        file = published.hf_hub_filename or "model.safetensors"
        found = try_to_load_from_cache(repository, file, revision=revision or None)
    if not isinstance(found, str):
        raise WeightsError(f"the network is switched off by {variable}, and timm's weights of {name!r} are not cached.")
    return found


def inflate_state_dict(model: nn.Module, state: dict[str, Tensor]) -> None:
    """Fill ``model`` with a 2D ResNet's ``state`` (timm's or torchvision's key names), all but the classifier."""
    state = {re.sub(r"^(conv|bn)1\.", r"stem.\1.", k): v for k, v in state.items() if not k.startswith("fc.")}
    filled = {}
    for key, target in model.state_dict().items():
        if key.startswith("head.") or ".non_local." in key:
            filled[key] = target
            continue
        if key not in state:
            raise WeightsError(f"the 2D network does not fit {model.arch}: it has no {key!r}.")
        value = state[key]
        if target.ndim == 5:
            value = value.unsqueeze(2).expand(-1, -1, target.shape[2], -1, -1) / target.shape[2]
        if value.shape != target.shape:
            raise WeightsError(
                f"the 2D network does not fit {model.arch}: {key!r} is {tuple(value.shape)}, not {tuple(target.shape)}."
            )
        filled[key] = value
    model.load_state_dict(filled)
