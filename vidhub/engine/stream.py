"""Class names while a video is still going on, frame by frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

from ..datasets.live import live_frames
from ..errors import InputError
from ..models._factory import create_model
from ..models.tsm import StreamingTSM
from ..transforms.factory import create_transform
from .predict import Prediction, best_classes, checked_dtype, class_names, pick_device
from .scoring import probabilities


def predict_stream(
    model: nn.Module | str,
    source: Any,
    *,
    fps: float | None = 2.0,
    window: int | None = None,
    topk: int = 5,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    labels: Sequence[str] | None = None,
) -> Iterator[tuple[float, Prediction]]:
    """Name what is happening in a stream, after every frame: (seconds since the first frame, the likeliest classes).

    Each frame goes through the network once; of the frames before it only cached features are left
    (``StreamingTSM``), so that memory and time per frame do not grow. Published weights saw both neighbours of a frame
    and see one of them here: expect lower scores than ``predict`` gives, or train with ``bidirectional=False``.

    Args:
        model: a TSM network of ``create_model``, or its name, whose published weights are then loaded.
        source: number of a camera (0), path, address of a video or network stream, or binary file: see ``live_frames``.
        fps: frames a second that go through the network; None: every frame. The eight frames of a published network
            lay half a second apart in Something-Something's videos, a quarter in densely sampled ones.
        window: how many frames back the scores reach, of which logits are averaged; None: as many as a clip has.
        topk, device, dtype, labels: see ``predict``.

    Raises:
        InputError: no TSM network, one with non-local blocks, or an argument of the wrong kind or value.
        FileNotFoundError, VideoError: the source is not there or cannot be read.
    """
    for name, count in (("topk", topk), ("window", 1 if window is None else window)):
        if not isinstance(count, int) or count < 1:
            raise InputError(f"{name} must be a positive number, not {count!r}.")
    dtype, device = checked_dtype(dtype), pick_device(device, model)
    if not isinstance(model, nn.Module):
        model = create_model(model, pretrained=True)
    names, config = class_names(model, labels), model.data_config
    streaming = StreamingTSM(model).to(device)
    weight = next(streaming.parameters())
    mixed = dtype not in (None, weight.dtype, torch.float32)
    transform = create_transform(config)
    recent = deque(maxlen=window or model.fixed_frames)
    for seconds, frame in live_frames(source, fps):
        view = transform(frame[None]).squeeze(2).to(device, weight.dtype)
        with torch.inference_mode(), torch.autocast(device.type, dtype) if mixed else nullcontext():
            recent.append(streaming(view)[0].float().cpu())
        scores = probabilities(torch.stack(tuple(recent)).mean(0), config.activation)
        yield seconds, best_classes(source, scores, names, topk)
