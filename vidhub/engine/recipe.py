"""A training run in one flat table: ``Recipe``, its YAML form, and the published recipes that come with vidhub."""

from __future__ import annotations

import importlib.resources
import os
import re
import types
import typing
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import yaml

from ..errors import InputError, check_choice

Views = int | str | tuple[int, int]


@dataclass(frozen=True)
class Recipe:
    """Everything a training run depends on. The keys of a YAML recipe, of ``--set`` and of ``vidhub.train`` are these.

    Steps are updates of the weights. One step sees ``batch_size * accumulate`` videos in each process.
    """

    # network
    model: str = "x3d_xs"
    pretrained: bool | str = False  # published weights; or "timm:NAME", or for a trunk a name: see create_model
    model_args: dict[str, Any] = field(default_factory=dict)

    # data: a name of `vidhub data list`, or a list of tables {dataset, root, split, weight, ...} to train on together
    dataset: str | list[dict[str, Any]] = "folder"
    root: str = ""
    train_split: str = "train"
    val_split: str = "val"  # "": no validation
    dataset_args: dict[str, Any] = field(default_factory=dict)
    # changes to the network's own data configuration; of features, num_frames is the longest part to train on
    num_frames: int | None = None
    stride: int | None = None
    size: int | None = None
    resize: int | None = None
    skeleton: dict[str, Any] = field(default_factory=dict)  # the same for skeletons: layout, streams, normalize, ...
    segments: dict[str, Any] = field(default_factory=dict)  # and for localization: feature_stride, top_k, ...
    # of `create_transform(training=True)`; with boxes `short_side` and `crop` of `BoxDataset`
    augment: dict[str, Any] = field(default_factory=dict)
    crop: tuple[float, float] | None = None  # of features: of shorter videos a random share of the steps between these
    repeats: int = 1  # random clips of each video that is decoded (repeated augmentation)
    balance: bool = False  # draw every class equally often
    views: Views = 1  # of validation; (clips, crops) are the trained network's test protocol too
    cache: int = 0  # keep decoded videos in memory with this short side; 0: decode every time
    bank: str = ""  # of detectors with a memory: the folder of a feature bank, see `vidhub bank`
    workers: int = 2

    # optimisation
    epochs: int = 30
    batch_size: int = 8
    accumulate: int = 1  # batches of a step
    optimizer: str = "adamw"  # timm's names
    optimizer_args: dict[str, Any] = field(default_factory=dict)
    lr: float = 1e-3
    lr_batch_size: int = 0  # clips of a step for which `lr` is meant, scaled linearly; 0: take `lr` as it is
    weight_decay: float = 0.05
    decay_all: bool = False  # decay biases and norms too
    layer_decay: float = 1.0  # factor on the learning rate from each layer to the one before it
    schedule: str = "cosine"  # cosine, step, multistep, constant and others of timm
    schedule_args: dict[str, Any] = field(default_factory=dict)  # in epochs: decay_milestones, decay_rate, ...
    warmup_epochs: float = 0.0
    warmup_lr: float = 0.0
    min_lr: float = 0.0
    clip_grad: float = 0.0  # largest norm of the gradient; 0: no limit
    loss: str = ""  # cross_entropy, binary_cross_entropy, class_balanced_focal, hvu; "": as the labels ask for
    loss_args: dict[str, Any] = field(default_factory=dict)  # of boxes: alpha and gamma of the focal loss, share_labels
    smoothing: float = 0.0
    mixup: float = 0.0  # alpha
    cutmix: float = 0.0  # alpha
    ema_decay: float = 0.0  # of the moving average of the weights; 0: none
    ema_warmup: bool = True  # let the first weights be forgotten faster
    freeze_stages: int = 0  # the stem and the first stages keep their weights: 1 is the stem alone; -1 is 0
    freeze_bn: bool = False
    sync_bn: bool = False
    grad_checkpointing: bool = False
    precision: str = "no"  # no, fp16 or bf16; also float32, float16 or bfloat16
    compile: bool = False  # by torch.compile: the first step takes a minute, later ones are faster, above all on GPUs

    # the run
    seed: int = 0
    val_every: int = 1  # epochs
    save_every: int = 0  # steps between checkpoints; 0: one at the end of every epoch
    log_every: int = 10  # steps
    tensorboard: bool = True
    out: str = "runs/train"
    device: str = ""  # "cpu" stays off the GPUs, "cuda:1" takes one of several; "": a GPU if there is one

    def __post_init__(self) -> None:
        if self.precision is False:  # as which YAML reads no
            object.__setattr__(self, "precision", "no")
        for key in fields(self):
            object.__setattr__(self, key.name, converted(key.name, getattr(self, key.name), _TYPES[key.name]))
        for name in _AT_LEAST_1:
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, not {getattr(self, name)}.")
        if self.freeze_stages == -1:  # with which MMAction2 freezes nothing
            object.__setattr__(self, "freeze_stages", 0)
        for name in _AT_LEAST_0:
            if not getattr(self, name) >= 0:  # nor what is no number
                raise InputError(f"{name} must be at least 0, not {getattr(self, name)}.")
        object.__setattr__(self, "precision", _PRECISIONS.get(self.precision, self.precision))
        if self.precision not in _PRECISIONS.values():
            raise InputError(f"precision must be no, fp16 or bf16, not {self.precision!r}.")
        if not re.fullmatch(r"(cpu|cuda(:\d+)?)?", self.device):
            raise InputError(f"device must be cpu, cuda or cuda:N, not {self.device!r}.")

    def to_yaml(self, all_keys: bool = False) -> str:
        """As YAML that ``read_recipe`` reads back: the keys that differ from the defaults, or all."""
        default = asdict(Recipe())
        wanted = {name: value for name, value in asdict(self).items() if all_keys or value != default[name]}
        return yaml.dump(plain_form(wanted), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Loader(yaml.SafeLoader):
    """Reads 1e-8 as the number that it is in YAML 1.2, where PyYAML sees text."""


class _Dumper(yaml.SafeDumper):
    """Writes what ``_Loader`` reads back."""


_NUMBER = "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
_Loader.add_implicit_resolver(*_NUMBER)
_Dumper.add_implicit_resolver(*_NUMBER)

_PRECISIONS = {"no": "no", "fp16": "fp16", "bf16": "bf16", "float32": "no", "float16": "fp16", "bfloat16": "bf16"}
_AT_LEAST_1 = ("epochs", "batch_size", "accumulate", "repeats", "val_every", "log_every")
_AT_LEAST_1 += ("num_frames", "stride", "size", "resize")
_AT_LEAST_0 = ("workers", "cache", "save_every", "seed", "freeze_stages", "lr_batch_size")
_AT_LEAST_0 += ("lr", "warmup_lr", "min_lr", "warmup_epochs", "weight_decay", "layer_decay", "clip_grad")
_AT_LEAST_0 += ("smoothing", "mixup", "cutmix", "ema_decay")
_TYPES = typing.get_type_hints(Recipe)


def read_recipe(source: str | os.PathLike, settings: Iterable[str] = (), **changes: Any) -> Recipe:
    """The recipe of a YAML file, or a published one by name, with changes.

    Args:
        source: a path, or a name of ``published_recipes()``.
        settings: ``"key=value"`` texts as given to ``--set``; values are YAML, and ``key.part=value`` reaches into
            tables such as ``model_args``.
        changes: keys and values.

    Raises:
        InputError: no such file, no YAML, or a value of the wrong kind.
        UnknownNameError: an unknown key.

    >>> read_recipe("slowonly_r50_k400", ["lr=0.01", "model_args.dropout=0.8"]).lr
    0.01
    """
    recipe = Recipe(**_known(_read_yaml(source))) if source else Recipe()
    return change_recipe(recipe, settings, **changes)


def change_recipe(recipe: Recipe, settings: Iterable[str] = (), **changes: Any) -> Recipe:
    """``recipe`` with other values; see :func:`read_recipe`."""
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"a setting is KEY=VALUE, not {text!r}.")
        try:
            value = yaml.load(value, _Loader)
        except yaml.YAMLError:
            raise InputError(f"the value of {text!r} cannot be read; put it in quotes.") from None
        key, dot, part = key.strip().partition(".")
        if dot:
            value = "" if value is None and not text.partition("=")[2].strip() else value
            table = getattr(recipe, *_known({key: None}))
            if not isinstance(table, dict):
                raise InputError(f"{key!r} has no parts that could be set; set {key}=VALUE.")
            value = {**table, part: value}
        changes = {**changes, key: value}
        recipe, changes = replace(recipe, **_known(changes)), {}
    return replace(recipe, **_known(changes))


def published_recipes() -> list[str]:
    """Names of the recipes that come with vidhub."""
    return sorted(path.name[: -len(".yaml")] for path in _folder().iterdir() if path.name.endswith(".yaml"))


def _folder():
    return importlib.resources.files(__package__.rpartition(".")[0]) / "recipes"


def _read_yaml(source: str | os.PathLike) -> dict[str, Any]:
    path = Path(source)
    if not path.suffix:
        check_choice("recipe", source, published_recipes())
        path = _folder() / f"{source}.yaml"
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the recipe {str(source)!r} ({error}).") from error
    except yaml.YAMLError as error:
        raise InputError(f"{str(source)!r} is no YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(content, dict):
        raise InputError(f"{str(source)!r} is no recipe: it must hold keys and values such as 'model: x3d_xs'.")
    return content


def _known(changes: dict[str, Any]) -> dict[str, Any]:
    for name in changes:
        check_choice("key of a recipe", name, _TYPES)
    return changes


def converted(name: str, value: Any, kind: Any) -> Any:
    """``value`` as one of the types that ``kind`` allows. YAML has no tuples; numbers may be given as text.

    Raises:
        InputError: it is of another kind; with ``name``.
    """
    kinds = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    plain = [typing.get_origin(k) or k for k in kinds]
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if value is None and plain == [str]:  # "key=" on the command line
        value = ""
    if isinstance(value, list) and tuple in plain:
        value = tuple(value)
    for k in plain:
        if isinstance(value, k) and not (isinstance(value, bool) and k is int):
            return value
    if float in plain and not isinstance(value, bool):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
    if int in plain and isinstance(value, float) and value.is_integer():
        return int(value)
    wanted = " or ".join(k.__name__.replace("NoneType", "null") for k in plain)
    raise InputError(f"{name} must be {wanted}, not {value!r}.")


def plain_form(value: Any) -> Any:
    """Tuples as lists and paths as text, which is what YAML has."""
    if isinstance(value, dict):
        return {k: plain_form(v) for k, v in value.items()}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return [plain_form(v) for v in value] if isinstance(value, (list, tuple)) else value
