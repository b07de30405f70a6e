"""What is trained and how fast: frozen parts, optimiser and learning rate of a recipe, all of them timm's."""

from __future__ import annotations

from typing import Any

import torch
from timm.models import group_parameters
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.scheduler.scheduler import Scheduler
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import InputError
from .recipe import Recipe


def freeze(model: nn.Module, stages: int = 0, batch_norm: bool = False) -> None:
    """Take the stem and the first stages, and scale and shift of the batch norms, out of training.

    Args:
        model: with ``feature_info`` and ``group_matcher``, as all networks of vidhub that have stages.
        stages: how many; 1 is the stem, of transformers with the first block.

    Raises:
        InputError: the network has fewer stages.
    """
    names = getattr(model, "stages", ())
    if stages > len(names):
        raise InputError(f"freeze_stages is {stages}, but this network has {len(names)} stages: {', '.join(names)}.")
    if stages:
        depths = group_parameters(model, model.group_matcher(coarse=True), reverse=True)
        frozen = tuple(f"{info['module']}." for info in model.feature_info[:stages])
        deepest = max((depth for name, depth in depths.items() if name.startswith(frozen)), default=0)
        for name, parameter in model.named_parameters():
            if depths[name] <= deepest:
                parameter.requires_grad_(False)
    if batch_norm:
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                module.requires_grad_(False)


def train_mode(model: nn.Module, freeze_stages: int = 0, freeze_bn: bool = False) -> None:
    """Training mode, but frozen stages stay in evaluation mode and frozen batch norms keep their statistics."""
    model.train()
    if freeze_stages:
        for info in model.feature_info[:freeze_stages]:
            model.get_submodule(info["module"]).eval()
        for module in model.modules():  # a stem that is in no stage
            if (own := list(module.parameters(recurse=False))) and not any(p.requires_grad for p in own):
                module.eval()
    if freeze_bn:
        for module in model.modules():
            if isinstance(module, _BatchNorm):
                module.eval()


def lr_factor(recipe: Recipe, world_size: int) -> float:
    """By what to multiply learning rates for the clips that a step really sees (https://arxiv.org/abs/1706.02677)."""
    clips = recipe.batch_size * recipe.accumulate * recipe.repeats * world_size
    return clips / recipe.lr_batch_size if recipe.lr_batch_size else 1.0


def create_optimizer(model: nn.Module, recipe: Recipe, world_size: int = 1) -> torch.optim.Optimizer:
    """timm's optimiser ``recipe.optimizer``, with layer decay where the recipe asks for it.

    Raises:
        InputError: no optimiser of this name, or one that does not take these arguments.
    """
    try:
        return create_optimizer_v2(
            model,
            opt=recipe.optimizer,
            lr=recipe.lr * lr_factor(recipe, world_size),
            weight_decay=recipe.weight_decay,
            filter_bias_and_bn=not recipe.decay_all,
            layer_decay=recipe.layer_decay if recipe.layer_decay != 1.0 else None,
            **recipe.optimizer_args,
        )
    except (ValueError, TypeError, AssertionError) as error:
        raise InputError(f"cannot create the optimizer {recipe.optimizer!r} ({error}).") from error


def create_schedule(
    optimizer: torch.optim.Optimizer, recipe: Recipe, epoch_length: int, world_size: int = 1
) -> Scheduler:
    """timm's schedule ``recipe.schedule``, to be told after every step: ``schedule.step_update(step)``."""
    args: dict[str, Any] = dict(recipe.schedule_args)
    factor = lr_factor(recipe, world_size)
    name = recipe.schedule
    if name == "constant":
        name, args = "step", {"decay_epochs": recipe.epochs + 1, **args}
    epochs = recipe.epochs
    if args.get("warmup_prefix"):  # timm counts these from the end of the warm-up
        epochs -= recipe.warmup_epochs
    if "decay_milestones" in args:  # timm's multistep decays one update early
        args["decay_milestones"] = [epoch + 0.5 / epoch_length for epoch in args["decay_milestones"]]
    try:
        schedule, _ = create_scheduler_v2(
            optimizer,
            name,
            num_epochs=epochs,
            warmup_epochs=recipe.warmup_epochs,
            warmup_lr=recipe.warmup_lr * factor,
            min_lr=recipe.min_lr * factor,
            step_on_epochs=False,
            updates_per_epoch=epoch_length,
            **args,
        )
    except (ValueError, TypeError, AssertionError) as error:
        raise InputError(f"cannot create the schedule {recipe.schedule!r} ({error}).") from error
    if schedule is None:
        raise InputError(f"unknown schedule {recipe.schedule!r}; cosine, step, multistep and constant are there.")
    schedule.step_update(0)
    return schedule
