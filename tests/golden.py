"""Weights and inputs made from a recipe: published networks are compared by their outputs, without their files."""

import zlib

import numpy as np
import torch

INPUTS = ("clip", "frames", "mel", "skeleton", "heatmap")


def _normal(name: str, shape) -> np.ndarray:
    seed = zlib.crc32(name.encode()) & 0x7FFFFFFF
    return np.random.RandomState(seed).standard_normal(shape).astype(np.float32)


def recipe_state(keys, kept, gain: float) -> dict[str, torch.Tensor]:
    """The state dict whose keys and shapes are ``keys`` ([key, shape, dtype, "filled" | "kept"])."""
    state = {}
    for key, shape, _, how in keys:
        last = key.rsplit(".", 1)[-1]
        if how == "kept":
            name = f"kept:{key}"
            value = kept[name] if name in kept else np.zeros(shape, np.int64)  # num_batches_tracked
        else:
            z = _normal(key, tuple(shape))
            if last == "running_var":
                value = 0.5 + 0.5 * np.abs(z)
            elif last == "running_mean":
                value = 0.02 * z
            elif len(shape) >= 2:
                value = z * np.float32(np.sqrt(gain / np.prod(shape[1:])))
            else:
                value = {"weight": 0.8 + 0.1 * z, "bias": 0.02 * z}.get(last, 0.5 * z)
            value = value.astype(np.float32)
        state[key] = torch.from_numpy(np.asarray(value))
    return state


def recipe_input(name: str, shape) -> torch.Tensor:
    return torch.from_numpy(_normal(f"input:{name}", tuple(shape)))


def difference(out: torch.Tensor, ref: np.ndarray) -> tuple[float, float]:
    """(largest error / rms, error of the two items' difference / that difference); the latter 0 for one item."""
    out = out.double().numpy()
    ref = np.asarray(ref, np.float64)
    error = np.abs(out - ref).max() / np.sqrt((ref**2).mean())
    if len(ref) < 2:
        return float(error), 0.0
    apart = np.linalg.norm((out[0] - out[1]) - (ref[0] - ref[1])) / np.linalg.norm(ref[0] - ref[1])
    return float(error), float(apart)


def recipe_clip(name: str, layout: str, shape) -> torch.Tensor:
    """A reference's input as (B, C, T, H, W): its frames may come before the channels, or with an axis of clips.

    Sound is (B, 1, T, F).
    """
    x = recipe_input(name, shape)
    if layout.startswith("mel"):
        return x[:, 0]
    if layout.startswith("frames"):
        return x.transpose(1, 2)
    if x.ndim == 4:  # images
        return x[:, :, None]
    return x[:, 0] if x.ndim == 6 else x


def recipe_arguments(name: str, inputs: dict) -> list[tuple]:
    """What a reference's network is called with, one clip at a time; boxes and banks of detectors all at once."""
    layout, shape = next((k, v) for k, v in inputs.items() if k.startswith(INPUTS))
    clips = recipe_clip(name, layout, shape)
    if not inputs.get("rois"):
        return [(clip[None],) for clip in clips]
    rois = torch.tensor(inputs["rois"])  # clip, x1, y1, x2, y2
    boxes = [rois[rois[:, 0] == i, 1:] for i in range(len(clips))]
    return [(clips, boxes, torch.from_numpy(_normal(f"lfb:{name}", inputs["lfb"])) if "lfb" in inputs else None)]


def to_double(value):
    """Every tensor in it as float64."""
    if isinstance(value, (tuple, list)):
        return type(value)(to_double(v) for v in value)
    return value.double() if isinstance(value, torch.Tensor) else value
