"""From a recipe to the objects of a run: data sets, network, loss."""

from __future__ import annotations

import inspect
import os
import re
import sys
import typing
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from torch.utils.data import Dataset, default_collate

from ..datasets.boxes import BoxDataset
from ..datasets.catalog import create_dataset
from ..datasets.dataset import RecordDataset, VideoDataset, join_datasets
from ..datasets.features import find_features
from ..datasets.records import PoseRecord
from ..datasets.skeleton import load_keypoints
from ..datasets.snippets import SnippetDataset
from ..errors import InputError, check_choice
from ..models._factory import DEFAULT_DATA_CONFIG, create_model
from ..models._hub import absolute_name
from ..models.bsn import PEM
from ..transforms.factory import create_transform
from ..transforms.poses import SkeletonTransform
from ..transforms.skeleton import as_keypoints, holds_scores
from ..weights.skeletons import LAYOUTS
from ..weights.types import DataConfig, DetectionConfig, SegmentConfig, SkeletonConfig
from . import detection, localization, losses, ssn
from .bank import FeatureBank
from .extract import read_settings
from .recipe import Recipe, converted
from .two_stage import ProposalDataset, open_tem

_LOOKED_AT = 20  # records of skeletons, to see what they are
_LOSSES = {
    "cross_entropy": losses.cross_entropy,
    "binary_cross_entropy": losses.binary_cross_entropy,
    "class_balanced_focal": losses.class_balanced_focal,
    "hvu": losses.hvu_loss,
}


_AUGMENTATIONS = [
    name
    for name, parameter in inspect.signature(create_transform).parameters.items()
    if parameter.kind == parameter.KEYWORD_ONLY and name != "repeats"  # which is a key of its own
]
DrawWeights = Callable[[Sequence[Any]], list[float]]


def open_training_set(recipe: Recipe) -> tuple[VideoDataset | RecordDataset, DrawWeights | None]:
    """The training set, and of several with weights how often to draw each of its records (else None: once an epoch).

    The weights are asked for once it is known which records are left: caching leaves out unreadable ones.

    Raises:
        InputError: it is empty, or holds videos without a label; or a weight is not above 0.
    """
    weights = None
    if isinstance(recipe.dataset, str):
        data = create_dataset(recipe.dataset, recipe.root, recipe.train_split, **recipe.dataset_args)
    else:
        parts, shares = [], []
        for table in recipe.dataset:
            table = {"root": recipe.root, "split": recipe.train_split, "weight": 1.0, **recipe.dataset_args, **table}
            shares.append(converted("weight of a data set", table.pop("weight"), float))
            if not shares[-1] > 0:
                raise InputError(f"the weight of a data set must be above 0, not {shares[-1]}.")
            parts.append(create_dataset(table.pop("dataset"), table.pop("root"), table.pop("split"), **table))
        data = join_datasets(parts)
        if any("weight" in table for table in recipe.dataset):
            weights = _draw_weights(data.records, [len(part) for part in parts], shares)
    if len(data) == 0:
        raise InputError(f"the training set ({recipe.dataset}, {recipe.train_split!r} in {recipe.root!r}) is empty.")
    if isinstance(data, VideoDataset):
        for record in data.records:
            if record.label is None or record.label == -1:
                raise InputError(f"{record.name!r} has no label, which training needs.")
    return data, weights


def _draw_weights(records: Sequence[Any], sizes: Sequence[int], shares: Sequence[float]) -> DrawWeights:
    """By which parts of ``records``, so many each, are drawn by their shares, whatever is left of them."""
    numbers = [number for number, size in enumerate(sizes) for _ in range(size)]
    part_of = {id(record): number for record, number in zip(records, numbers, strict=True)}

    def weights(left: Sequence[Any]) -> list[float]:
        parts = [part_of[id(record)] for record in left]
        counts = Counter(parts)
        return [shares[part] / counts[part] for part in parts]

    return weights


def open_validation_set(recipe: Recipe) -> VideoDataset | RecordDataset | None:
    """The validation set of the first data set of the recipe; None where the recipe wants none."""
    if not recipe.val_split:
        return None
    table = {"dataset": recipe.dataset, "root": recipe.root, "val_split": recipe.val_split, **recipe.dataset_args}
    if not isinstance(recipe.dataset, str):
        table |= {k: v for k, v in recipe.dataset[0].items() if k not in ("split", "weight")}
    return create_dataset(table.pop("dataset"), table.pop("root"), table.pop("val_split"), **table)


def counted_classes(data: Dataset, at_least: int = 0) -> Dataset:
    """Videos that do not say of how many classes they are: of as many as their labels name, or more if it is said."""
    if not isinstance(data, VideoDataset) or data.num_classes:
        return data
    several = [(label,) if isinstance(label, int) else label for label in data.labels]
    found = 1 + max((max(labels, default=-1) for labels in several if isinstance(labels, tuple)), default=-1)
    return _with_classes(data, (), max(found, at_least)) if found else data


def _with_classes(data: VideoDataset, classes: tuple[str, ...], num_classes: int) -> VideoDataset:
    if (data.classes, data.num_classes) == (classes, num_classes):
        return data  # itself, which keeps what it has cached for the next run
    data = data.with_transform(data.transform)
    data.classes, data.num_classes = classes, num_classes
    return data


def fitted_validation_set(val_set: Dataset, train_set: Dataset) -> Dataset:
    """``val_set`` with the classes of the training set, the first of which may be all it has.

    Raises:
        InputError: it is empty, or has other classes, or these in another order.
    """
    if hasattr(val_set, "__len__") and len(val_set) == 0:
        raise InputError("the validation set is empty; check its folder and split, or set val_split='' to do without.")
    ours, theirs = getattr(train_set, "classes", ()), getattr(val_set, "classes", ())
    if ours and theirs and ours != theirs and (detection.has_boxes(val_set) or ours[: len(theirs)] != theirs):
        others = [name for name in (*theirs, *ours) if (name in theirs) != (name in ours)]
        extra = repr(others[0]) if others else "their order"
        raise InputError(f"training and validation set do not have the same classes: they differ in {extra}.")
    if not isinstance(val_set, VideoDataset) or not isinstance(train_set, VideoDataset):
        return val_set
    val_set = counted_classes(val_set, train_set.num_classes)
    if val_set.num_classes > train_set.num_classes:
        raise InputError(
            f"the validation set has {val_set.num_classes} classes, the training set {train_set.num_classes}."
        )
    return _with_classes(val_set, train_set.classes or val_set.classes, train_set.num_classes)


def create_network(recipe: Recipe, train_set: Dataset) -> nn.Module:
    """The recipe's network with a class for each of the training set, and its data configuration."""
    args = dict(recipe.model_args)
    train_set = counted_classes(train_set, args.get("num_classes") or 0)
    if localization.is_localization(train_set):
        args = {**localization.network_arguments(recipe.model, train_set), **args}
    elif ssn.has_proposals(train_set):
        args = {**ssn.ssn_arguments(recipe.model, train_set), **args}
    elif getattr(train_set, "num_classes", 0):
        args.setdefault("num_classes", train_set.num_classes)
    records = getattr(train_set, "records", ())
    if recipe.skeleton or (records and isinstance(records[0], PoseRecord)):
        recipe, usual = fit_skeletons(recipe, records), create_model(recipe.model)
        args = {**skeleton_args(usual, changed_skeletons(usual.data_config, recipe)), **args}
    model = create_model(recipe.model, recipe.pretrained, **args)
    if isinstance(model.data_config, SkeletonConfig):
        model.data_config = changed_skeletons(model.data_config, recipe)
    model.labels = getattr(train_set, "classes", ()) or None
    if isinstance(model.data_config, SegmentConfig):
        model.data_config = changed_segments(model.data_config, recipe, train_set)
    if detection.has_boxes(train_set) and isinstance(model.data_config, DetectionConfig):
        names = ("num_frames", "stride", "size")
        changes = {name: getattr(recipe, name) for name in names if getattr(recipe, name)}
        model.data_config = replace(detection.fitted_config(model.data_config, train_set), **changes)
    if isinstance(model.data_config, DataConfig):
        model.data_config = changed_data_config(model.data_config, recipe)
        model.data_config = replace(model.data_config, flip_labels=mirrored_classes(model.labels or ()))
    if _kind_of_labels(train_set) is not int:
        model.data_config = replace(model.data_config, activation="sigmoid")
    return model


def changed_segments(config: SegmentConfig, recipe: Recipe, data: Dataset) -> SegmentConfig:
    """``config`` with the recipe's changes, and with how the features of a data set were made, where that is known."""
    changes = dict(recipe.segments)
    if made := read_settings(Path(find_features(data.records[0].path)).parent):
        names = {"feature_model": "model", "feature_weights": "weights", "feature_every": "every"}
        changes = {ours: made[theirs] for ours, theirs in names.items() if theirs in made} | changes
    kinds = typing.get_type_hints(SegmentConfig)
    known = kinds.keys() - {"feature_dim", "num_steps"}  # which are the network's own
    for name, value in changes.items():
        check_choice("key of segments in a recipe", name, known)
        changes[name] = converted(f"segments.{name}", value, kinds[name])
    changes |= {n: absolute_name(changes[n]) for n in ("feature_model", "proposal_model") if n in changes}
    if "proposal_model" not in changes and recipe.model == "bsn_pem" and not recipe.pretrained:
        changes["proposal_model"] = ""  # a network of one's own judges proposals of one's own
    return replace(config, **changes)


def mirrored_classes(classes: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Pairs of classes whose names differ in left and right alone: mirrored, one shows the other.

    >>> mirrored_classes(["Swiping Left", "Drumming", "Swiping Right"])
    ((0, 2),)
    """
    other = {"left": "right", "right": "left", "Left": "Right", "Right": "Left"}
    index = {name: i for i, name in enumerate(classes)}
    mirrored = [re.sub(r"\b([Ll]eft|[Rr]ight)\b", lambda m: other[m[0]], name) for name in classes]
    return tuple((i, index[name]) for i, name in enumerate(mirrored) if i < index.get(name, -1))


def changed_data_config(config: DataConfig, recipe: Recipe) -> DataConfig:
    """``config`` with the recipe's frames, stride, size and views; without a ``resize`` the crop's margin is 1/7."""
    names = ("num_frames", "stride", "size", "resize")
    changes: dict[str, Any] = {name: getattr(recipe, name) for name in names if getattr(recipe, name)}
    if recipe.num_frames:
        changes["test_frames"] = None
    if recipe.size:
        changes = {"resize": recipe.size * 8 // 7, "test_size": None, **changes}
    if isinstance(recipe.views, tuple):
        changes["views"] = recipe.views
    return replace(config, **changes)


def fit_skeletons(recipe: Recipe, records: Sequence[PoseRecord]) -> Recipe:
    """The recipe with the layout, the dimensions and the persons of the data's skeletons, unless it names them.

    The layout is one with as many joints, if there is one in as many dimensions. Where everybody is alone, the network
    gets one person.

    Raises:
        InputError: no layout has as many joints, or no skeletons can be read.
    """
    known = dict(recipe.skeleton)
    if "layout" in recipe.model_args:
        known.setdefault("layout", _tuples(recipe.model_args["layout"]))
    if records and isinstance(records[0], PoseRecord) and not {"layout", "dims", "num_persons"} <= known.keys():
        joints, dims, alone = kind_of_skeletons(records)
        known.setdefault("dims", dims)
        if alone:
            known.setdefault("num_persons", 1)
        if "layout" not in known:
            same = [name for name, layout in LAYOUTS.items() if layout.num_joints == joints]
            if not same:
                raise InputError(f"no known skeleton layout has {joints} joints: give its edges as skeleton.layout.")
            known["layout"] = min(same, key=lambda name: LAYOUTS[name].dims != dims)
            told = f"skeletons of {joints} joints in {dims}D: taken as {known['layout']!r}, else set skeleton.layout"
            if int(os.environ.get("RANK", 0)) == 0:
                print(told, file=sys.stderr)
    return replace(recipe, skeleton=known)


def kind_of_skeletons(records: Sequence[PoseRecord]) -> tuple[int, int, bool]:
    """Joints and dimensions (2 or 3) of most of some of these records, and whether there is one person in each.

    Of three coordinates the third is z, unless there is a picture or scores of their own, and it could be a score too.

    Raises:
        InputError: none of those looked at can be read.
    """
    found: Counter[tuple[int, int]] = Counter()
    alone = True
    for record in records[:: max(1, len(records) // _LOOKED_AT)]:
        try:
            record = load_keypoints(record, by_person=True)
            keypoints, scores = as_keypoints(record.keypoints, record.scores)
        except InputError:  # training tells of those it meets
            continue
        if keypoints.any():
            picture = record.image_size is not None or scores is not None
            flat = keypoints.shape[-1] == 2 or (picture and holds_scores(keypoints))
            found[keypoints.shape[2], 2 if flat else 3] += 1
            alone &= int(keypoints.any((1, 2, 3)).sum()) == 1
    if not found:
        raise InputError(f"there is nobody in the skeletons of the training set, such as {records[0].name!r}.")
    return *found.most_common(1)[0][0], alone


def changed_skeletons(config: SkeletonConfig, recipe: Recipe) -> SkeletonConfig:
    """``config`` with the recipe's skeletons, frames, size and views.

    Raises:
        InputError, UnknownNameError: the network takes no skeletons, or the recipe changes what they do not have, or to
            what makes no sense.
    """
    if not isinstance(config, SkeletonConfig):
        raise InputError(f"skeleton is for networks on skeletons, and {recipe.model!r} is none: leave it out.")
    changes = {name: getattr(recipe, name) for name in ("num_frames", "size") if getattr(recipe, name)}
    if isinstance(recipe.views, tuple):
        changes["views"] = recipe.views
    changes |= {k: _tuples(v) for k, v in recipe.skeleton.items()}
    check_known("key of skeleton", changes, SkeletonConfig.__dataclass_fields__)
    if isinstance(changes.get("streams"), str):
        changes["streams"] = (changes["streams"],)
    layout, dims = changes.pop("layout", config.layout), changes.pop("dims", None)
    fitted = config if layout == config.layout and dims is None else config.with_layout(layout, dims)
    changed = replace(fitted, **changes)
    if (changed.kind == "coordinates") != (config.kind == "coordinates"):
        raise InputError(f"{recipe.model!r} takes {config.kind} and no {changed.kind}: leave kind out.")
    return changed


def skeleton_args(model: nn.Module, config: SkeletonConfig) -> dict[str, Any]:
    """The arguments of a network like ``model`` that takes skeletons like these."""
    if config.kind != "coordinates":
        return {"layout": config.layout, "kind": config.kind}
    persons = {"num_persons": config.num_persons} if model.num_persons else {}
    return {"layout": config.layout, "in_chans": config.view_shape[-1], **persons}


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def fit_network(model: nn.Module, train_set: Dataset) -> None:
    """Name the classes of a network of one's own as the training set does.

    Raises:
        InputError: it has another number of classes.
    """
    wanted, there = getattr(train_set, "num_classes", 0), getattr(model, "num_classes", 0)
    classes, config = getattr(train_set, "classes", ()), getattr(model, "data_config", None)
    boxes = detection.has_boxes(train_set) and isinstance(config, DetectionConfig)
    if boxes and detection.lacks_background(model, classes):
        wanted, classes = there, classes[1:]
    elif boxes:
        model.data_config = replace(config, background=detection.fitted_config(config, train_set).background)
    if wanted and there and wanted != there:
        raise InputError(
            f"the model has {there} classes, the training set {wanted}: create it with num_classes={wanted}."
        )
    if hasattr(model, "labels") and model.labels is None:
        model.labels = classes or None


def with_transforms(
    recipe: Recipe, model: nn.Module, train_set: Dataset, val_set: Dataset | None
) -> tuple[Dataset, Dataset | None]:
    """The data sets; those of videos without a transform get the recipe's, and are cached if it says so."""
    config = getattr(model, "data_config", DEFAULT_DATA_CONFIG)
    if localization.is_localization(train_set) and isinstance(config, SegmentConfig):
        judges = isinstance(model, PEM)
        parts = {} if judges else {"max_steps": recipe.num_frames, "crop": recipe.crop}
        opened = localization.open_features(train_set, model, training=True, **parts)
        val_set = val_set and localization.open_features(val_set, model)
        return (ProposalDataset(open_tem(model), opened) if judges else opened), val_set
    if not detection.has_boxes(train_set):
        check_known("part of augment", recipe.augment, _AUGMENTATIONS)
    if ssn.has_proposals(train_set) and not isinstance(train_set, SnippetDataset):
        transform = create_transform(config, training=True, **recipe.augment)
        return SnippetDataset(train_set.records, transform, train_set.classes), val_set
    if detection.has_boxes(train_set):
        bank = FeatureBank(recipe.bank) if recipe.bank else None
        opened = detection.open_boxes(train_set, model, training=True, bank=bank, **recipe.augment)
        return opened, val_set and detection.open_boxes(val_set, model, bank=bank)
    for data in (train_set, val_set):
        if isinstance(data, VideoDataset) and recipe.cache and isinstance(config, DataConfig):
            data.cache(recipe.cache)
    if isinstance(train_set, VideoDataset) and train_set.transform is None:
        transform = create_transform(config, training=True, repeats=recipe.repeats, **recipe.augment)
        if isinstance(transform, SkeletonTransform):
            transform = replace(transform, late=config.kind != "coordinates")
        train_set = train_set.with_transform(transform)
    if isinstance(val_set, VideoDataset) and val_set.transform is None:
        val_set = val_set.with_transform(create_transform(config, views=recipe.views))
    return train_set, val_set


def check_known(kind: str, names: Iterable[str], known: Iterable[str]) -> None:
    """UnknownNameError for the first of ``names`` that is not known."""
    for name in names:
        check_choice(kind, name, known)


def collate_clips(samples: list[tuple[Tensor, Any]]) -> tuple[Tensor, Tensor]:
    """Clips (B, C, T, H, W) and targets; the random clips of one video, (R, C, T, H, W), each count as a sample.

    The first clips of all videos come first: ``random_mix`` takes neighbours for partners.
    """
    if samples[0][0].ndim == 5:
        samples = [(clips[i], target) for i in range(len(samples[0][0])) for clips, target in samples]
    return default_collate(samples)


def classification_loss(recipe: Recipe, train_set: Dataset) -> Callable[[nn.Module, Any], Tensor]:
    """``loss(model, (clips, targets))``: the recipe's, or the one that the labels ask for.

    Raises:
        UnknownNameError: no loss of this name.
        InputError: it does not take these arguments.
    """
    kind = _kind_of_labels(train_set)
    usual = {dict: "hvu", tuple: "binary_cross_entropy"}.get(kind, "cross_entropy")
    name, args = recipe.loss or usual, dict(recipe.loss_args)
    check_choice("loss", name, _LOSSES)
    check_known(f"part of loss_args of {name}", args, list(inspect.signature(_LOSSES[name]).parameters)[2:])
    if recipe.smoothing and name in ("hvu", "class_balanced_focal"):
        raise InputError(f"the loss {name!r} smooths no labels: leave smoothing out.")
    if name == "class_balanced_focal" and (kind is not int or recipe.mixup or recipe.cutmix):
        raise InputError("class_balanced_focal is for videos of one class each: leave it out, or mixup and cutmix.")
    if "weight" in args:
        args["weight"] = _class_weights(args["weight"], getattr(train_set, "num_classes", 0))
    if name == "hvu":
        args = {"categories": train_set.categories, **args}
    elif name != "class_balanced_focal":
        args = {"smoothing": recipe.smoothing, **args}
    elif "samples_per_class" not in args:
        counts = Counter(train_set.labels)
        args["samples_per_class"] = [counts[i] for i in range(train_set.num_classes)]
    function = _LOSSES[name]

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        clips, targets = batch
        moved = {k: v.to(clips.device) if isinstance(v, Tensor) else v for k, v in args.items()}
        auxiliary = getattr(getattr(model, "module", model), "auxiliary_weight", 0)
        if not auxiliary:
            return function(model(clips), targets, **moved)
        logits, others = model(clips, auxiliary=True)
        return function(logits, targets, **moved) + auxiliary * function(others, targets, **moved)

    return loss


def _class_weights(weights: Any, num_classes: int) -> Tensor:
    try:
        found = torch.tensor(weights, dtype=torch.float32)
    except (TypeError, ValueError):
        found = torch.zeros(())
    if found.ndim != 1 or (num_classes and len(found) != num_classes):
        raise InputError(f"loss_args.weight must be a number for each of the {num_classes} classes, not {weights!r}.")
    return found


def soft_targets(targets: Tensor, num_classes: int) -> Tensor:
    """Classes (B,) as float (B, num_classes) of zeros and ones, which can be mixed; others as they are."""
    return one_hot(targets, num_classes).float() if targets.ndim == 1 else targets


_NOT_OF_BOXES = (
    "loss",
    "smoothing",
    "mixup",
    "cutmix",
    "repeats",
    "balance",
    "views",
    "resize",
    "cache",
    "crop",
    "segments",
)
_AUGMENT_OF_BOXES = ("short_side", "crop")


def check_boxes_recipe(recipe: Recipe, train_set: Dataset) -> None:
    """See that a recipe asks nothing that is not done with boxes.

    Raises:
        InputError: it does; with the key.
        UnknownNameError: there is no such part of ``augment``.
    """
    default = Recipe()
    if changed := [name for name in _NOT_OF_BOXES if getattr(recipe, name) != getattr(default, name)]:
        raise InputError(f"{' and '.join(changed)} in the recipe cannot be had with boxes: leave it out.")
    if recipe.augment and isinstance(train_set, BoxDataset):
        raise InputError("augment in the recipe is for a data set by name: give it to BoxDataset instead.")
    check_known("part of augment with boxes", recipe.augment, _AUGMENT_OF_BOXES)


_LOSS_ARGS_OF_BOXES = ("alpha", "gamma", "share_labels")


def box_loss(recipe: Recipe) -> Callable[[nn.Module, Any], Tensor]:
    """``loss(model, batch)`` of boxes, with the recipe's ``loss_args``.

    Raises:
        UnknownNameError: there is no such argument.
    """
    check_known("part of loss_args with boxes", recipe.loss_args, _LOSS_ARGS_OF_BOXES)
    return partial(detection.action_loss, **recipe.loss_args)


def _kind_of_labels(data: Dataset) -> type:
    labels = getattr(data, "labels", None)
    return type(labels[0]) if labels else int
