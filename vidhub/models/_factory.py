"""``create_model``: a network by name, with or without published weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from ..errors import InputError, WeightsError
from ..weights.resolve import fetch_state_dict, read_state_dict, sha256_of, tell_licence
from ..weights.tables import WEIGHTS, get_weights
from ..weights.types import AnyConfig, DataConfig, DetectionConfig, SegmentConfig, SkeletonConfig, Weights
from ._checkpoint import load_state_dict
from ._features import FeatureExtractor
from ._inflate import load_image_weights
from ._late_init import LateInit
from ._registry import entry_point

# what most published 3D networks take; for architectures of which no weights are published
DEFAULT_DATA_CONFIG = DataConfig(num_frames=32, stride=2)


def create_model(
    name: str,
    pretrained: bool | str = False,
    *,
    checkpoint_path: str | Path | None = None,
    features_only: bool = False,
    out_indices: int | list[int] | None = None,
    progress: bool = True,
    **kwargs: Any,
) -> nn.Module:
    """Build a network, in eval mode.

    Args:
        name: ``"arch"``, ``"arch.tag"`` (see ``list_pretrained``), ``"hf-hub:org/repo"`` or ``"local-dir:path"``
            (both as ``save_checkpoint`` writes them; they always come with their weights).
        pretrained: load the published weights of the tag, or the architecture's default ones; ``"timm:NAME"`` instead
            takes timm's image network of that name as a start: inflated into a 3D ResNet, or as a frame network's
            backbone. Of detectors also the name of a recognition network ("slowfast_r50", "local-dir:path"), whose
            weights the trunk starts from.
        checkpoint_path: load this file, of any known layout, instead of downloading, or of a saved model's weights.
            A tag, the published name or the SHA-256 says which weights it holds; nothing else gives it class names.
        features_only: return a network that gives the stages' feature maps, those of ``out_indices`` (None: all; n: the
            last n), without what comes after them.
        progress: show a bar while downloading.
        kwargs: arguments of the network: ``num_classes``, ``in_chans``, ``dropout`` and its own. A ``num_classes``
            that is not that of the weights leaves the classifier new, with a warning.

    Returns:
        An ``nn.Module`` with ``arch``, ``config`` (keyword arguments that build it again), ``data_config``,
        ``num_classes``, ``labels`` (class names or None) and ``weights`` (``Weights`` or None).

    Raises:
        UnknownNameError: no such model or weights.
        WeightsError: the weights cannot be had, or are not this network's.
        InputError: an argument that the network does not take.
    """
    with LateInit():
        model = _create(name, pretrained, checkpoint_path, progress, kwargs)
    return FeatureExtractor(model, out_indices) if features_only else model


def _create(
    name: str, pretrained: bool | str, checkpoint_path: str | Path | None, progress: bool, kwargs: dict[str, Any]
) -> nn.Module:
    if name.startswith(("hf-hub:", "local-dir:")):
        from ._hub import load_from_hub, load_local

        if isinstance(pretrained, str):
            raise InputError(f"{name!r} comes with its weights: leave pretrained={pretrained!r} out.")
        source, address = name.split(":", 1)
        load = load_from_hub if source == "hf-hub" else load_local
        return load(address, checkpoint_path=checkpoint_path, **kwargs)

    arch, _, tag = name.partition(".")
    build = entry_point(arch)
    weights, known = _weights_of(arch, tag, checkpoint_path)
    if pretrained is True and weights is None and checkpoint_path is None:
        raise WeightsError(
            f"no weights are published for {arch!r}: create it with pretrained=False, or pass checkpoint_path."
        )
    other_classes = "num_classes" in kwargs
    if weights and (tag or pretrained is True or checkpoint_path):
        kwargs = {**weights.arguments, **kwargs}

    try:
        model = build(**kwargs)
    except TypeError as error:
        raise InputError(f"cannot build {arch!r}: {str(error).split('__init__() ')[-1]}.") from None
    model.arch = arch
    model.config = getattr(model, "config", None) or dict(kwargs)  # a detector's own says how its trunk is built
    if hasattr(model, "get_classifier"):
        model.config["num_classes"] = model.num_classes
    config = weights.data_config if weights else getattr(model, "default_data_config", DEFAULT_DATA_CONFIG)
    model.data_config = fitted(config, weights.num_classes if weights else model.num_classes, model, kwargs)
    model.weights = None
    model.labels = None

    if checkpoint_path is not None:
        load_state_dict(model, read_state_dict(checkpoint_path), new_classifier=other_classes)
        if known:
            tell_licence(weights)
            model.weights = weights
    elif isinstance(pretrained, str) and hasattr(model, "trunk") and not pretrained.startswith("timm:"):
        _load_trunk(model.trunk, pretrained, progress)
    elif isinstance(pretrained, str):
        load_image_weights(model, pretrained)
    elif pretrained:
        state = fetch_state_dict(weights, progress=progress)
        load_state_dict(model, state, new_classifier=model.num_classes != weights.num_classes)
        model.weights = weights
    if model.weights and model.num_classes == weights.num_classes:
        model.labels = weights.labels
    return model.eval()


def _load_trunk(trunk: nn.Module, name: str, progress: bool) -> None:
    """Give a detector's trunk the weights of a recognition network, but for its classifier.

    Transformers that normalise the mean of the tokens have that norm in their head, those of detectors before it.
    """
    source = create_model(name, pretrained=True, progress=progress).state_dict()
    wanted = {key: value.shape for key, value in trunk.state_dict().items()}
    kept = {key: value for key, value in source.items() if not key.startswith("head.fc.")}
    state = {key if key in wanted else key.removeprefix("head."): value for key, value in kept.items()}
    if {key: value.shape for key, value in state.items()} != wanted:
        raise WeightsError(f"{name!r} is not the recognition network of this detector's trunk: name one that is.")
    trunk.load_state_dict(state)


def fitted(config: AnyConfig, num_classes: int, model: nn.Module, kwargs: dict[str, Any]) -> AnyConfig:
    """``config``, of a network of ``num_classes``, with the frames, size and channels that ``model`` was asked for."""
    if isinstance(config, SkeletonConfig):
        wanted = {name: getattr(model, name, None) for name in ("layout", "kind", "num_persons")}
        return config.with_channels(model.in_chans, **wanted)
    if isinstance(config, SegmentConfig):
        return replace(config, feature_dim=model.feature_dim, num_steps=getattr(model, "num_steps", None))
    if not isinstance(config, (DataConfig, DetectionConfig)):
        return config
    if len(config.mean) != model.in_chans:  # optical flow, as usually stored: 8 bits around 128
        config = replace(config, mean=(128 / 255,) * model.in_chans, std=(128 / 255,) * model.in_chans)
    frames = getattr(model, "fixed_frames", None) or kwargs.get("num_frames") or config.num_frames
    size = kwargs.get("img_size") or config.size
    if isinstance(config, DetectionConfig):
        return replace(config, num_frames=frames, size=size)
    return replace(
        config.resized(size),
        num_frames=frames,
        test_frames=config.test_frames if frames == config.num_frames else None,
        bgr=config.bgr and model.in_chans == 3,
        flip_labels=config.flip_labels if model.num_classes == num_classes else (),
    )


def _weights_of(arch: str, tag: str, checkpoint_path: str | Path | None) -> tuple[Weights | None, bool]:
    """The published weights meant: those of the tag, those that the file is, or else the architecture's default.

    And whether the file, if there is one, is known to hold them.
    """
    if tag:
        return get_weights(f"{arch}.{tag}"), True
    published = [w for w in WEIGHTS.values() if w.arch == arch]
    if checkpoint_path is not None:
        # not the package's own "model.safetensors": every saved model is called that
        path = Path(checkpoint_path)
        named = [w for w in published if w.url.startswith("http") and w.url.rsplit("/", 1)[-1] == path.name]
        if not named and any(w.sha256 for w in published) and path.is_file():
            digest = sha256_of(path)
            named = [w for w in published if w.sha256 and digest.startswith(w.sha256)]
        if named:
            return named[0], True
    return (published[0] if published else None), False
