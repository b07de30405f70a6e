"""Class probabilities of videos from the views of them: what prediction, validation and evaluation have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn

from .._memory import keep_memory
from ..errors import VidhubError

Loaded = tuple[Any, Tensor | Exception | str]  # a source and its views (V, C, T, H, W), or why there are none


def group_views(loaded: Iterable[Loaded], batch_size: int) -> Iterator[list[Loaded]]:
    """As many videos at a time as fill a batch with their views."""
    group, num_views = [], 0
    for source, clips in loaded:
        group.append((source, clips))
        num_views += len(clips) if isinstance(clips, Tensor) else 0
        if num_views >= batch_size:
            yield group
            group, num_views = [], 0
    yield group


@torch.inference_mode()
def score_videos(model: nn.Module, videos: list[Tensor], dtype: torch.dtype | None, batch_size: int) -> list[Tensor]:
    """The class probabilities (num_classes,) of each video (V, C, T, H, W), averaged over its views; on the CPU.

    ``model.data_config`` says what is averaged, and whether classes exclude each other. Other dtypes than the model's
    run in mixed precision.
    """
    if not videos:
        return []
    views = [view for video in videos for view in video]
    batches = (torch.stack(views[i : i + batch_size]) for i in range(0, len(views), batch_size))
    device, own = (weight := next(model.parameters())).device, weight.dtype
    try:
        with evaluation_mode(model), mixed_precision(model, dtype):
            logits = torch.cat([model(batch.to(device, own)).float() for batch in batches]).cpu()
    except torch.cuda.OutOfMemoryError:
        raise VidhubError(f"{device} has too little memory for {batch_size} views at once: lower batch_size.") from None
    config = model.data_config
    scores = [
        average_views(video, config.average, config.activation)
        for video in logits.split([len(video) for video in videos])
    ]
    return [probabilities(s, config.activation) for s in scores] if config.average == "score" else scores


def average_views(
    logits: Tensor, average: Literal["prob", "score"] = "prob", activation: Literal["softmax", "sigmoid"] = "softmax"
) -> Tensor:
    """The mean over a video's views, (..., V, classes) -> (..., classes): of probabilities, or of logits ("score")."""
    return (logits if average == "score" else probabilities(logits, activation)).mean(-2)


def probabilities(logits: Tensor, activation: Literal["softmax", "sigmoid"]) -> Tensor:
    """Of logits (..., classes): they sum to 1, or with "sigmoid" each class stands for itself."""
    return logits.sigmoid() if activation == "sigmoid" else logits.softmax(-1)


def mixed_precision(model: nn.Module, dtype: torch.dtype | None) -> AbstractContextManager:
    """In which arithmetic is of another dtype than the model's own, where that is no float32."""
    weight = next(model.parameters())
    return nullcontext() if dtype in (None, weight.dtype, torch.float32) else torch.autocast(weight.device.type, dtype)


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode; afterwards each module is back in the mode it was in.

    On a CPU the process keeps what memory large tensors leave: see ``keep_memory``.
    """
    if next(model.parameters(), torch.empty(0)).device.type == "cpu":
        keep_memory()
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
