"""Training: one loop for every network, on one or many processes, that can be killed and resumed at any moment."""

from __future__ import annotations

import copy
import math
import os
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType, broadcast_object_list, send_to_device, set_seed
from timm.utils import ModelEmaV3, distribute_bn
from torch import Tensor, nn
from torch.utils.data import Dataset, default_collate
from tqdm.auto import tqdm

from .._files import write_whole
from ..datasets.boxes import BoxDataset, collate_boxes
from ..datasets.dataset import VideoDataset, class_balanced_weights
from ..datasets.features import FeatureDataset, collate_features
from ..datasets.snippets import SnippetDataset, collate_snippets
from ..errors import InputError, VideoError, VidhubError, from_worker
from ..models._hub import save_checkpoint
from ..transforms.mixing import random_mix
from ..weights.files import write_safetensors
from . import detection, localization, prepare, ssn
from .box_scores import box_validation
from .checkpoints import load_state, newest_state, save_state
from .evaluate import Evaluation, collect, score_dataset, worst_clips
from .loading import Batch, training_loader
from .logs import RunLog
from .optim import create_optimizer, create_schedule, freeze, train_mode
from .predict import pick_device
from .processes import gather_scores, share_of
from .recipe import Recipe, change_recipe, plain_form, read_recipe
from .report import write_report
from .scoring import evaluation_mode
from .sync_batch_norm import convert_sync_batch_norm
from .two_stage import ProposalDataset, collate_proposals

Loss = Callable[[nn.Module, Any], Tensor]
Validate = Callable[[nn.Module], dict[str, float]]

_DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}
# keys that may differ when a run is resumed, since they do not change its result
_FREE_KEYS = {"workers", "device", "tensorboard", "log_every", "save_every", "root", "out"}


@dataclass(frozen=True)
class TrainingRun:
    """A finished run. ``create_model("local-dir:FOLDER")`` builds the best network, ``.../last`` the final one."""

    folder: Path
    model: nn.Module  # the final one; in moving average where the recipe asks for it
    metrics: dict[str, float]  # of the last validation; {} without one
    best: dict[str, float]  # of the best validation
    history: list[dict[str, Any]]  # the rows of log.csv


def train(
    recipe: Recipe | str | os.PathLike | None = None,
    *,
    model: nn.Module | str | None = None,
    train_set: Dataset | None = None,
    val_set: Dataset | None = None,
    loss: Loss | str | None = None,
    validate: Validate | None = None,
    collate: Callable[[list[Any]], Any] | None = None,
    resume: bool = False,
    progress: bool | None = None,
    **settings: Any,
) -> TrainingRun:
    """Train a network.

    Started by ``torchrun`` or ``accelerate launch``, all processes share each step. A step depends on the seed and its
    number alone, so a run that was killed and resumed ends with the same weights as one that was not.

    Args:
        recipe: a ``Recipe``, a YAML file, or the name of a published recipe; None: the defaults.
        model: of ``create_model``, in the place of the recipe's; or its name.
        train_set, val_set: any data sets, in the place of the recipe's. A ``VideoDataset`` without a transform gets the
            recipe's.
        loss: ``loss(model, batch) -> scalar`` for tasks other than classification, or the name of a loss.
        validate: ``validate(model) -> {"name": number}`` in the place of the scores on the validation set, called by
            every process with the network in evaluation mode, without gradients. The first number says which weights
            are the best: the larger, the better.
        collate: makes a batch of a list of samples.
        resume: go on from the last checkpoint in ``out``, where there is one.
        progress: show a bar; None: if stderr is a terminal.
        settings: keys of ``Recipe``.

    Raises:
        InputError, UnknownNameError: recipe, data and model do not fit together, or ``out`` holds another run.
        VidhubError: the loss is not finite; the message names the batch.
    """
    if isinstance(model, str):
        settings["model"], model = model, None
    if isinstance(loss, str):
        settings["loss"], loss = loss, None
    recipe = change_recipe(recipe if isinstance(recipe, Recipe) else read_recipe(recipe or ""), **settings)
    run = Run(recipe, model, train_set, val_set, loss, validate, collate, resume, progress)
    while True:
        # after saving, so that a validation that fails loses no epoch: a run resumed at its end validates again
        if run.validation_due:
            run.validate()
        if run.state.step == run.num_steps:
            return run.finish()
        run.step()
        every = recipe.save_every or run.epoch_length
        if run.state.step % every == 0 or run.state.step == run.num_steps:
            run.save()


@dataclass
class _Progress:
    """What a checkpoint holds besides model, optimiser, schedule and random states."""

    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)  # of the last validation
    best: dict[str, float] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)  # of the log
    losses: list[float] = field(default_factory=list)  # since the last row; in a checkpoint, means over the processes
    sizes: dict[str, int] = field(default_factory=dict)  # which the steps follow from

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


class Run:
    """A run: built from a recipe, then ``step``, ``validate`` and ``save`` as often as due, then ``finish``."""

    def __init__(
        self,
        recipe: Recipe,
        model: nn.Module | None = None,
        train_set: Dataset | None = None,
        val_set: Dataset | None = None,
        loss: Loss | None = None,
        validate: Validate | None = None,
        collate: Callable[[list[Any]], Any] | None = None,
        resume: bool = False,
        progress: bool | None = None,
    ):
        self.recipe = recipe
        self.out = Path(recipe.out)
        # a second run in one process may want another precision or device
        AcceleratorState._reset_state(reset_partial_state=not torch.distributed.is_initialized())
        alone = int(os.environ.get("WORLD_SIZE", 1)) == 1
        if recipe.device:
            device = pick_device(recipe.device, None)
            if device.index is not None and not alone:
                raise InputError(f"several processes take one GPU each: leave device out, or cuda, not {device}.")
            if device.index is not None:
                torch.cuda.set_device(device)
        # without GPUs, accelerate would let several processes run each on its own
        on_cpu = recipe.device == "cpu" or not (alone or torch.cuda.is_available())
        self.accelerator = Accelerator(mixed_precision=recipe.precision, cpu=on_cpu)
        self.main, self.world_size = self.accelerator.is_main_process, self.accelerator.num_processes
        newest = newest_state(self.out / "checkpoints")
        if newest and not resume:
            raise InputError(f"{recipe.out!r} holds a run already; go on with resume=True (--resume), or change out.")
        set_seed(recipe.seed)

        draw_weights = None
        if train_set is None:
            train_set, draw_weights = prepare.open_training_set(recipe)
            val_set = prepare.open_validation_set(recipe) if val_set is None else val_set
        wanted = recipe.model_args.get("num_classes") if model is None else getattr(model, "num_classes", 0)
        train_set = prepare.counted_classes(train_set, wanted or 0)
        if val_set is not None:
            val_set = prepare.fitted_validation_set(val_set, train_set)
        if detection.has_boxes(train_set):
            prepare.check_boxes_recipe(recipe, train_set)
        if model is None:
            model = prepare.create_network(recipe, train_set)
        else:
            prepare.fit_network(model, train_set)
        train_set, val_set = prepare.with_transforms(recipe, model, train_set, val_set)
        weights = draw_weights and draw_weights(train_set.records)
        if recipe.balance:
            weights = class_balanced_weights(train_set)
        if isinstance(train_set, (FeatureDataset, ProposalDataset)):
            loss = loss or localization.segment_loss
            collate = collate or (collate_features if isinstance(train_set, FeatureDataset) else collate_proposals)
            if val_set is not None:
                validate = validate or localization.validation(val_set, localization.thresholds_of(recipe.dataset))
        if isinstance(train_set, SnippetDataset):
            loss, collate = loss or ssn.snippet_loss, collate or collate_snippets
            if val_set is not None:
                validate = validate or ssn.ssn_validation(val_set)
        if isinstance(train_set, BoxDataset):
            loss, collate = loss or prepare.box_loss(recipe), collate or collate_boxes
            if val_set is not None:
                settings = {"batch_size": recipe.batch_size, "dtype": _DTYPES.get(recipe.precision)}
                validate = validate or box_validation(val_set, **settings, workers=recipe.workers)
        self.train_set, self.val_set, self.custom_validate = train_set, val_set, validate
        self.can_validate = bool(validate or isinstance(val_set, VideoDataset))
        self.loss = loss or prepare.classification_loss(recipe, train_set)
        clips_per_step = recipe.batch_size * recipe.accumulate * self.world_size
        self.epoch_length = max(1, len(train_set) // clips_per_step)
        self.num_steps = recipe.epochs * self.epoch_length

        freeze(model, recipe.freeze_stages, recipe.freeze_bn)
        if recipe.grad_checkpointing:
            model.set_grad_checkpointing()
        if recipe.sync_bn and self.world_size > 1:
            model = convert_sync_batch_norm(model, self.accelerator.device)
        self.sharded = self.accelerator.distributed_type == DistributedType.FSDP
        if self.sharded:
            # all processes have the whole network; accelerate's way to hand it out fails on batch norms' statistics
            self.accelerator.state.fsdp_plugin.cpu_ram_efficient_loading = False
        if self.sharded and recipe.ema_decay:
            raise InputError("no moving average is kept of weights that FSDP shards: set ema_decay=0.")
        self.whole = copy.deepcopy(model) if self.sharded else None  # to gather the shards in
        device = self.accelerator.device
        # FSDP shards weights along their first axis and takes none that are laid out otherwise; in bfloat16 on a CPU,
        # PyTorch (2.13, 2.14) gets gradients of depthwise convolutions wrong if clips are a frame shorter than kernels
        plain = self.sharded or (device.type == "cpu" and recipe.precision == "bf16")
        self.model = (model if plain else _channels_last(model)).to(device)
        self.ema = None
        if recipe.ema_decay:
            self.ema = ModelEmaV3(self.model, decay=recipe.ema_decay, use_warmup=recipe.ema_warmup)
        if recipe.compile:
            self.model.compile()
        optimizer = create_optimizer(self.model, recipe, self.world_size)
        self.wrapped, self.optimizer = self.accelerator.prepare(self.model, optimizer)
        self.schedule = create_schedule(self.optimizer, recipe, self.epoch_length, self.world_size)
        sizes = {"training set size": len(train_set), "number of processes": self.world_size}
        self.state = _Progress(sizes=sizes)
        self.accelerator.register_for_checkpointing(self.state, self.schedule, *([self.ema] if self.ema else []))
        set_seed(recipe.seed, device_specific=True)  # dropout differs between processes

        self.out.mkdir(parents=True, exist_ok=True)
        if self.main:
            _keep_recipe(recipe, self.out / "recipe.yaml", resume)
        if newest:
            load_state(self.accelerator, newest)
            _check_same(recipe, self.state.sizes, sizes)
            if self.main:
                print(f"resumed after step {self.state.step} of {self.num_steps}", file=sys.stderr)
        self.log = RunLog(self.out, self.state.rows, recipe.tensorboard) if self.main else None
        self.load = partial(
            training_loader,
            train_set,
            batch_size=recipe.batch_size,
            epoch_length=self.epoch_length * recipe.accumulate,
            seed=recipe.seed,
            weights=weights,
            rank=self.accelerator.process_index,
            world_size=self.world_size,
            collate=collate or (prepare.collate_clips if isinstance(train_set, VideoDataset) else default_collate),
            pin_memory=self.accelerator.device.type == "cuda",
        )
        todo = range(self.state.step * recipe.accumulate, self.num_steps * recipe.accumulate)
        self.batches = iter(self.load(batches=todo, workers=recipe.workers))
        show = self.main and (sys.stderr.isatty() if progress is None else progress)
        self.bar = tqdm(total=self.num_steps, initial=self.state.step, unit="step", disable=not show)
        self.evaluation: Evaluation | None = None
        # batches, seconds spent waiting for them, and since when
        self.timed, self.waited, self.since = 0, 0.0, time.perf_counter()

    def step(self) -> None:
        """One update of the weights."""
        recipe = self.recipe
        train_mode(self.model, recipe.freeze_stages, recipe.freeze_bn)
        for part in range(recipe.accumulate):
            batch = self._next_batch()
            data = send_to_device(batch.data, self.accelerator.device, non_blocking=True)
            if draw := getattr(getattr(self.train_set, "transform", None), "draw_batch", None):
                data = (draw(data[0]), *data[1:])
            if recipe.mixup or recipe.cutmix:
                data = self._mix(data, self.state.step * recipe.accumulate + part)
            last = part == recipe.accumulate - 1
            with nullcontext() if last else self.accelerator.no_sync(self.wrapped):
                loss = self.loss(self.wrapped, data)
                self.state.losses.append(self._finite(loss, batch))
                self.accelerator.backward(loss / recipe.accumulate)
        if recipe.clip_grad:
            self.accelerator.clip_grad_norm_(self.wrapped.parameters(), recipe.clip_grad)
        self.optimizer.step()
        self.optimizer.zero_grad()
        lr = max(group["lr"] for group in self.optimizer.param_groups)
        self.state.step += 1
        self.schedule.step_update(self.state.step)
        if self.ema:
            self.ema.update(self.model, self.state.step)
        self.bar.update()
        if self.state.step % recipe.log_every == 0 or self.state.step % self.epoch_length == 0:
            self._log_step(lr)

    @property
    def validation_due(self) -> bool:
        """Whether an epoch is at its end after which the recipe wants a validation, or the last one is."""
        epoch, position = divmod(self.state.step, self.epoch_length)
        due = epoch > 0 and position == 0 and (epoch % self.recipe.val_every == 0 or epoch == self.recipe.epochs)
        return due and self.can_validate

    def validate(self) -> None:
        """Score the validation set; the best weights so far go to ``out``."""
        if self.world_size > 1:
            distribute_bn(self.trained, self.world_size)  # statistics of batch norms: those of the first process
        if self.custom_validate:
            with evaluation_mode(self.trained), torch.no_grad():
                scores = self.custom_validate(self.trained)
        else:
            self.evaluation = self._evaluate()
            scores = {**self.evaluation.metrics, "loss": _log_loss(self.evaluation)}
            if self.main and self.evaluation.failures:
                write_whole(self.out / "not_validated.txt", "".join(f"{t}\n" for t in self.evaluation.failures))
        self.state.metrics = scores
        self._add_row({f"val_{name}": value for name, value in scores.items()})
        if not self.state.best or _rank_of(scores) > _rank_of(self.state.best):
            self.state.best = scores
            self._save_model(self.out)
        self.waited, self.since = 0.0, time.perf_counter()

    def save(self) -> None:
        """Write a checkpoint from which the run can be resumed."""
        if self.state.losses:  # as many in all processes
            self.state.losses = self.accelerator.reduce(self._losses(), "mean").tolist()
        save_state(self.accelerator, self.out / "checkpoints", self.state.step)

    def finish(self) -> TrainingRun:
        """Write the final weights and the report."""
        self.bar.close()
        state = self.state
        if not self.can_validate:
            self._save_model(self.out)
        self._save_model(self.out / "last")
        if self.main:
            self.log.close()
            replaced = _count_lines(self.out / "unreadable.txt")
            if replaced:
                print(f"{replaced} unreadable videos were replaced: see {self.out / 'unreadable.txt'}", file=sys.stderr)
            evaluation = self.evaluation
            missed = len(evaluation.failures) if evaluation else 0
            if missed:
                print(f"{missed} videos were not validated: see {self.out / 'not_validated.txt'}", file=sys.stderr)
            write_report(
                self.out / "report.html",
                title=f"{self.recipe.model}: {state.step} steps",
                history=state.rows,
                metrics=state.metrics,
                classes=evaluation and (evaluation.classes or None),
                confusion=evaluation and evaluation.confusion,
                worst=worst_clips(evaluation, self.val_set) if evaluation else (),
                summary={
                    **asdict(self.recipe),
                    "unreadable videos": replaced,
                    "not validated": missed,
                    "processes": self.world_size,
                },
            )
        self.accelerator.wait_for_everyone()
        if self.sharded:  # the first process alone has gathered the weights
            self.whole.load_state_dict(broadcast_object_list([self.whole.state_dict()])[0])
        self.accelerator.unwrap_model(self.wrapped, keep_fp32_wrapper=False)  # ends its mixed precision
        model = self.whole if self.sharded else self.trained
        return TrainingRun(self.out, model.eval(), state.metrics, state.best, state.rows)

    @property
    def trained(self) -> nn.Module:
        """The weights that count: the moving average where there is one."""
        return self.ema.module if self.ema else self.wrapped if self.sharded else self.model

    def _next_batch(self) -> Batch:
        started = time.perf_counter()
        try:
            batch = next(self.batches)
        except VidhubError as error:
            raise from_worker(error) from None
        self.waited += time.perf_counter() - started
        self.timed += 1
        if batch.failures:
            with (self.out / "unreadable.txt").open("a", encoding="utf-8") as file:
                file.writelines(f"{text}\n" for text in batch.failures)
            tqdm.write("\n".join(f"replaced by another video: {text}" for text in batch.failures), file=sys.stderr)
        if batch.data is None:
            raise VideoError(f"{len(batch.failures)} videos in a row cannot be read, the last: {batch.failures[-1]}")
        return batch

    def _mix(self, data: tuple[Tensor, Tensor], number: int) -> tuple[Tensor, Tensor]:
        """Mixup and cutmix, drawn alike in all processes."""
        seed = np.random.SeedSequence([self.recipe.seed, number, 1]).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(seed >> 1))
        targets = prepare.soft_targets(data[1], self.train_set.num_classes)
        alphas = {"mixup_alpha": self.recipe.mixup, "cutmix_alpha": self.recipe.cutmix}
        return random_mix(data[0], targets, **alphas, generator=generator)

    def _finite(self, loss: Tensor, batch: Batch) -> float:
        value = loss.item()
        if math.isfinite(value):
            return value
        records = getattr(self.train_set, "records", None)
        names = [getattr(records[i], "name", f"sample {i}") if records else f"sample {i}" for i in batch.indices]
        step, epoch = self.state.step + 1, self.state.step // self.epoch_length + 1
        raise VidhubError(
            f"the loss is {value} at step {step} (epoch {epoch}) on the batch {', '.join(names)}; "
            "look at these, lower lr, set clip_grad, or use bf16 in the place of fp16."
        )

    def _log_step(self, lr: float) -> None:
        mean = self.accelerator.reduce(self._losses().mean(), "mean").item()
        seconds = time.perf_counter() - self.since
        clips = self.timed * self.recipe.batch_size * self.recipe.repeats * self.world_size
        rates = {"clips_per_second": round(clips / seconds, 3), "waiting": round(self.waited / seconds, 4)}
        self._add_row({"loss": mean, "lr": lr, **rates})
        shown = {f"val_{name}": f"{value:.4g}" for name, value in self.state.metrics.items()}
        self.bar.set_postfix(epoch=self.state.step // self.epoch_length, loss=f"{mean:.3f}", lr=f"{lr:.2g}", **shown)
        self.state.losses, self.timed, self.waited, self.since = [], 0, 0.0, time.perf_counter()

    def _losses(self) -> Tensor:
        return torch.tensor(self.state.losses, device=self.accelerator.device)

    def _add_row(self, values: dict[str, float]) -> None:
        row = {"step": self.state.step, "epoch": round(self.state.step / self.epoch_length, 4), **values}
        if self.main:
            self.log.add(row)  # to state.rows too

    def _evaluate(self) -> Evaluation:
        share, world_size = share_of(len(self.val_set))
        dtype = _DTYPES.get(self.recipe.precision)
        batch_size = self.recipe.batch_size * 2  # no gradients to keep
        scored = score_dataset(
            self.trained, self.val_set, share, batch_size=batch_size, dtype=dtype, workers=self.recipe.workers
        )
        return collect(self.val_set, gather_scores(dict(scored), world_size))

    def _save_model(self, folder: Path) -> None:
        model = self.trained
        if self.sharded:
            weights = self.accelerator.get_state_dict(self.wrapped)  # all processes take part
            model = self.whole
            if self.main:
                model.load_state_dict(weights)
        if not self.main:
            return
        if hasattr(model, "arch"):
            save_checkpoint(model, folder)
        else:  # a network that is not vidhub's
            folder.mkdir(parents=True, exist_ok=True)
            write_safetensors(model.state_dict(), folder / "model.safetensors", {"format": "pt"})


def _channels_last(model: nn.Module) -> nn.Module:
    """Convolutions run fastest with channels innermost, on CPUs and GPUs."""
    layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in model.parameters():
        if parameter.ndim in layouts:
            parameter.data = parameter.data.to(memory_format=layouts[parameter.ndim])
    return model


def _keep_recipe(recipe: Recipe, path: Path, resume: bool) -> None:
    """Write the recipe beside its results; on resuming, see that it is the same."""
    if resume and path.exists():
        before, now = (plain_form(asdict(each)) for each in (read_recipe(path), recipe))
        _check_same(recipe, before, {name: value for name, value in now.items() if name not in _FREE_KEYS})
    write_whole(path, recipe.to_yaml())


def _check_same(recipe: Recipe, before: dict[str, Any], now: dict[str, Any]) -> None:
    """InputError where what is known from before differs."""
    changed = [name for name, value in now.items() if before.get(name, value) != value]
    if changed:
        what = ", ".join(f"{name} ({before[name]!r}, now {now[name]!r})" for name in changed)
        raise InputError(
            f"cannot resume {recipe.out!r}, which was started with another {what}: take what it had, or change out."
        )


def _rank_of(scores: dict[str, float]) -> tuple[float, ...]:
    """The first number; of equally good ones the smaller loss. What is no number comes last."""
    ranks = next(iter(scores.values()), 0.0), -scores.get("loss", 0.0)
    return tuple(-math.inf if math.isnan(rank) else rank for rank in ranks)


def _log_loss(evaluation: Evaluation) -> float:
    """Mean negative log-probability of what is true; of several classes at once, mean over all that are annotated."""
    scores = evaluation.scores.astype(np.float64).clip(1e-12, 1 - 1e-12)
    targets = evaluation.targets
    if targets.ndim == 1:
        rows = np.flatnonzero(targets >= 0)
        return float(-np.log(scores[rows, targets[rows]]).mean()) if len(rows) else 0.0
    return float(-np.nanmean(np.where(targets > 0, np.log(scores), np.where(targets == 0, np.log1p(-scores), np.nan))))


def _count_lines(path: Path) -> int:
    return len(set(path.read_text(encoding="utf-8").splitlines())) if path.exists() else 0
