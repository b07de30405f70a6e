"""The fast form of a network, for inference: folded norms, a memory format, another precision, compiled."""

from __future__ import annotations

import copy
import time
import weakref
from collections.abc import Sequence
from typing import Any

import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from ..errors import InputError
from ..models.layers.gpu_conv3d import use_gpu_convolutions
from .predict import checked_dtype
from .scoring import evaluation_mode

# root mean square of the change of the outputs that is accepted, relative to that of the outputs
TOLERANCE = {torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 1e-1}
_FOLDABLE = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, BatchNormAct2d)  # others may do more than normalise


@torch.inference_mode()
def optimize(
    model: nn.Module,
    example: Tensor | Sequence[Any],
    *,
    channels_last: bool | None = None,
    dtype: str | torch.dtype = torch.float32,
    compile: bool = False,
    tolerance: float | None = None,
) -> nn.Module:
    """A copy of a network that gives the same outputs faster and can no longer be trained.

    Batch norms become part of the convolution before them. The copy takes float32 inputs of any batch size as the
    original does, and gives float32. On a CPU the process keeps, from then on, the memory that large tensors leave.

    Args:
        model: of ``create_model``; it stays as it is.
        example: an input, or all arguments in turn, on the network's device; best of the size that will be used.
        channels_last: whether pixels lie in memory with their channels together, by which 3D convolutions on a GPU can
            be done faster; None: the fastest on the example.
        dtype: of weights and arithmetic: float32, float16 or bfloat16, by name or as torch's.
        compile: by ``torch.compile``, which takes a minute and is paid back by many inputs of one size.
        tolerance: how far outputs may be off on the example, relative to their root mean square; None: see TOLERANCE.

    Raises:
        InputError: the outputs differ by more than that.
    """
    arguments = (example,) if isinstance(example, Tensor) else tuple(example)
    dtype = checked_dtype(dtype) or torch.float32
    with evaluation_mode(model):
        expected = _outputs(model(*arguments))
        fast = copy.deepcopy(model).requires_grad_(False)
    fast.optimized = True  # and no longer what can be saved and built again
    fold_batch_norms(fast, arguments)
    fast.to(dtype)
    on_gpu = next(model.parameters()).device.type == "cuda"
    formats = (False, True) if channels_last is None else (channels_last,)
    forms = [_with_format(copy.deepcopy(fast), choice, dtype) for choice in formats]
    if on_gpu and True in formats:
        forms.append(_with_format(use_gpu_convolutions(fast), True, dtype))
    fast = forms[0] if len(forms) == 1 else min(forms, key=lambda network: _seconds(network, arguments))
    if compile and on_gpu:
        # kernels are launched all at once, as a graph whose memory each run uses anew
        fast.forward = torch.compile(fast.forward, mode="reduce-overhead")
        fast.register_forward_pre_hook(lambda *_: torch.compiler.cudagraph_mark_step_begin())
    elif compile:
        fast.compile(options={"freezing": True})  # weights are laid out for their kernels once
    allowed = TOLERANCE[dtype] if tolerance is None else tolerance
    error = max(_difference(a, b) for a, b in zip(_outputs(fast(*arguments)), expected, strict=True))
    if not error <= allowed:
        raise InputError(
            f"in this form the network's outputs differ by {error:.1e} of their root mean square, more than the "
            f"{allowed:.0e} allowed: take another dtype, or a tolerance that suits you."
        )
    return fast


def fold_batch_norms(model: nn.Module, arguments: tuple[Any, ...]) -> int:
    """Make batch norms that always follow the same convolution or linear layer part of it, in place.

    Which follow which is seen in one run on ``arguments``. A network in which the output of such a layer is used
    elsewhere as well would change; ``optimize`` compares the outputs.

    Returns:
        How many were folded.
    """
    makers: dict[int, tuple[nn.Module, weakref.ref]] = {}  # the layer that made a tensor, by the tensor's id
    before: dict[nn.Module, set[nn.Module | None]] = {}  # of each batch norm, the layers in front of it

    def remember(layer: nn.Module, _: Any, output: Tensor) -> None:
        makers[id(output)] = layer, weakref.ref(output)

    def look(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        layer, output = makers.get(id(inputs[0]), (None, lambda: None))
        before.setdefault(norm, set()).add(layer if output() is inputs[0] else None)

    hooks = []
    for module in model.modules():
        if isinstance(module, (_ConvNd, nn.Linear)):
            hooks.append(module.register_forward_hook(remember))
        elif type(module) in _FOLDABLE:
            hooks.append(module.register_forward_pre_hook(look))
    model(*arguments)
    for hook in hooks:
        hook.remove()

    layers = [layer for found in before.values() for layer in found]
    folded = 0
    for parent in list(model.modules()):
        for name, norm in list(parent.named_children()):
            found = before.get(norm, ())
            layer = next(iter(found), None)
            if len(found) != 1 or layer is None or layers.count(layer) != 1:
                continue
            fuse = fuse_linear_bn_eval if isinstance(layer, nn.Linear) else fuse_conv_bn_eval
            fused = fuse(layer, norm)
            layer.weight, layer.bias = fused.weight.requires_grad_(False), fused.bias.requires_grad_(False)
            act = isinstance(norm, BatchNormAct2d)
            setattr(parent, name, nn.Sequential(norm.drop, norm.act) if act else nn.Identity())
            folded += 1
    return folded


def _with_format(model: nn.Module, channels_last: bool, dtype: torch.dtype) -> nn.Module:
    """``model`` with its weights in that format, and hooks that bring inputs there and outputs back to float32."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d} if channels_last else {}
    for weight in model.parameters():
        weight.data = weight.data.to(memory_format=formats.get(weight.ndim, torch.contiguous_format))

    def prepare(_: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        x, *others = arguments
        return x.to(dtype, memory_format=formats.get(x.ndim, torch.preserve_format)), *others

    def finish(_: nn.Module, __: Any, output: Any) -> Any:
        # copies, since the next run of a graph overwrites what this one gave
        whole = [x.to(torch.float32, copy=True) for x in _outputs(output)]
        if isinstance(output, Tensor):
            return whole[0]
        return type(output)(*whole) if hasattr(output, "_fields") else type(output)(whole)

    model.register_forward_pre_hook(prepare)
    model.register_forward_hook(finish)
    return model


def _seconds(model: nn.Module, arguments: tuple[Any, ...], runs: int = 2) -> float:
    """The least of a few runs, after one that does not count."""
    device, times = next(model.parameters()).device, []
    for _ in range(runs + 1):
        started = time.perf_counter()
        model(*arguments)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return min(times[1:])


def _outputs(output: Any) -> list[Tensor]:
    return [output] if isinstance(output, Tensor) else list(output)


def _difference(a: Tensor, b: Tensor) -> float:
    """Root mean square of a - b, relative to that of b."""
    scale = b.float().square().mean().sqrt().clamp(min=torch.finfo(torch.float32).tiny)
    return float((a.float() - b.float()).square().mean().sqrt() / scale)
