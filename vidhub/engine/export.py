"""``export``: a network as an ONNX file or a ``torch.export`` program, checked against the network itself."""

from __future__ import annotations

import importlib.util
import inspect
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError, VidhubError, in_one_line
from .scoring import evaluation_mode

# of an output's largest value
_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3, torch.float16: 2e-2, torch.bfloat16: 5e-2, torch.bool: 0.0}
_ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_LARGEST_ONNX = 2**31 - 2**20  # bytes of a file; the weights of larger networks go into one of their own


def export(
    model: nn.Module,
    example: Tensor | Sequence[Tensor],
    path: str | Path,
    *,
    dynamic_batch: bool = True,
    check: bool = True,
) -> Path:
    """Write a network so that it runs without vidhub, and see that what was written gives the network's outputs.

    The network is exported as it computes in eval mode, at the precision of its parameters and on their device. Its
    inputs are called as ``forward`` calls them, its outputs "logits", or as the fields of what ``forward`` gives, or
    "features0" and so on where it gives a list.

    Args:
        model: any network of ``create_model``.
        example: its input, or all of them: clips, skeletons, features, ... Of detectors clips and boxes (N, 5): the
            number of the clip, x1, y1, x2, y2. All sizes but the first of each tensor become fixed.
        path: ``.onnx`` for onnxruntime and others, with its weights in ``.onnx.data`` beside it where they exceed
            2 GB; ``.pt2`` for ``torch.export.load``. The file is there once it is whole and right.
        dynamic_batch: leave the first size of every input open; those of detectors' clips and boxes one by one.
        check: run the file on ``example`` and, with ``dynamic_batch``, on inputs of another first size.

    Returns:
        ``path``.

    Raises:
        InputError: another suffix, a network that cannot be exported, or a file that gives other outputs.
        VidhubError: the packages that ``.onnx`` needs are not installed.
    """
    path = Path(path)
    inputs = (example,) if isinstance(example, Tensor) else tuple(example)
    if path.suffix not in (".onnx", ".pt2"):
        raise InputError(f"the name of the file says the format: it must end in .onnx or .pt2, not {path.suffix!r}.")
    if not hasattr(torch.export.Dim, "DYNAMIC"):
        raise VidhubError(f"export needs PyTorch 2.6 or newer, and this is {torch.__version__}.")
    if path.suffix == ".onnx" and (missing := [name for name in _ONNX_PACKAGES if not importlib.util.find_spec(name)]):
        raise VidhubError(f"this needs {missing[0]}, which is not installed: pip install 'vidhub[export]'.")

    network = _Flat(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    drafts = tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.")
    with evaluation_mode(network), torch.no_grad(), drafts as folder:
        outputs = _names_of(model(*inputs))  # first, so that wrong inputs are told as ever
        draft = Path(folder) / path.name
        with _quiet():
            _write(network, inputs, outputs, draft, dynamic_batch)
        if check:
            _compare(draft, inputs, network(*inputs))
            if dynamic_batch:
                inputs = tuple(_longer(x, 2) for x in inputs)
                _compare(draft, inputs, network(*inputs))
        for file in os.listdir(folder):
            os.replace(Path(folder) / file, path.parent / file)
    return path


class _Flat(nn.Module):
    """A network whose outputs are a plain tuple."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        outputs = self.model(*inputs)
        return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)


def _names_of(outputs: Any) -> Sequence[str]:
    if isinstance(outputs, Tensor):
        return ("logits",)
    return getattr(outputs, "_fields", None) or [f"features{i}" for i in range(len(outputs))]


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporters tell of their own workings; what the user should know is in the error."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _longer(x: Tensor, more: int) -> Tensor:
    """``x`` with ``more`` rows, no two of them the same. A box, scaled, is a box, and its clip an earlier one."""
    count = len(x) + more
    rows = x[torch.arange(count, device=x.device) % len(x)]
    if not x.is_floating_point():
        return rows
    factors = torch.linspace(1, 0.6, count, device=x.device, dtype=x.dtype)
    return rows * factors.view(-1, *[1] * (x.ndim - 1))


def _write(network: _Flat, inputs: tuple[Tensor, ...], outputs: Sequence[str], path: Path, dynamic_batch: bool) -> None:
    shapes = None
    if dynamic_batch:  # a size of 1 would be taken for a fixed one
        inputs = tuple(_longer(x, 1) if len(x) == 1 else x for x in inputs)
        shapes = (tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs),)
    try:
        program = torch.export.export(network, inputs, dynamic_shapes=shapes, strict=False)
        if path.suffix == ".pt2":
            torch.export.save(program, path)
            return
        names = list(inspect.signature(network.model.forward).parameters)[: len(inputs)]
        onnx = torch.onnx.export(
            program, input_names=names, output_names=list(outputs), dynamo=True, verbose=False, optimize=True
        )
        size = sum(p.numel() * p.element_size() for p in network.state_dict().values())
        onnx.save(path, external_data=size > _LARGEST_ONNX)
    except Exception as raised:  # of whatever kind the exporters raise
        error = raised
        while cause := error.__cause__ or error.__context__:  # the exporters wrap what went wrong in advice
            error = cause
        reason = in_one_line(error)
        raise InputError(f"{_name(network.model)} cannot be exported as {path.suffix}: {reason[:300]}.") from raised


def _name(model: nn.Module) -> str:
    return getattr(model, "arch", type(model).__name__)


def _compare(path: Path, inputs: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> None:
    """The file's outputs for these inputs must be ``wanted``."""
    sizes = " and ".join(str(len(x)) for x in inputs)
    told = f"what was exported as {path.suffix}, on inputs of first size {sizes},"
    try:
        found = _run(path, inputs)
    except Exception as error:  # of whatever kind the runtimes raise
        raise InputError(f"{told} fails: {in_one_line(error)[:300]}.") from error
    for a, b in zip(found, wanted, strict=True):
        if a.shape != b.shape:
            raise InputError(f"{told} gives the shape {tuple(a.shape)} and not {tuple(b.shape)}.")
        if not b.numel():
            continue
        largest = b.float().abs().max().clamp(min=torch.finfo(torch.float32).tiny)  # outputs may all be 0
        apart = (a.to(b).float() - b.float()).abs().max() / largest
        if not apart <= _TOLERANCE[b.dtype]:
            raise InputError(f"{told} differs from the network by {apart:.1e} of the largest output.")


def _run(path: Path, inputs: tuple[Tensor, ...]) -> Sequence[Tensor]:
    if path.suffix == ".pt2":
        return torch.export.load(path).module()(*inputs)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feed = {node.name: x.cpu().numpy() for node, x in zip(session.get_inputs(), inputs, strict=True)}
    return [torch.from_numpy(y) for y in session.run(None, feed)]
