"""First values of large weights, drawn late: only those that stay, and on all cores."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import init
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

_RANDOM = {init.uniform_, init.normal_, init.kaiming_uniform_, Tensor.uniform_, Tensor.normal_}
_FILLS = _RANDOM | {init.constant_, Tensor.fill_, Tensor.zero_}
_BLIND = {Tensor.dim, Tensor.size, Tensor.numel, Tensor.detach, Tensor.requires_grad_}  # do not look at the values
_PLAIN = {Tensor, nn.Parameter}
_LARGE = 2**20  # elements; smaller tensors are filled at once

_open = threading.local()  # .modes: how many of these are open, one in another


class LateInit(TorchFunctionMode):
    """While a network is built and loaded, large tensors are filled when somebody looks at them, or else at the end.

    A network's parts fill their weights when they are made, the network often fills them again in its own way, and a
    checkpoint then overwrites both. Here the last fill of a tensor is the only one, a copy over the whole tensor makes
    it needless, and those that are left take place together. What is drawn at the end depends on the default
    generator's state alone.
    """

    def __init__(self):
        super().__init__()
        self.late: dict[int, tuple[Tensor, Callable[..., Any]]] = {}  # by where the tensor's numbers are

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None):
        kwargs = kwargs or {}
        if func in _BLIND or getattr(func, "__name__", "") == "__get__":  # of shape, dtype, data, ...
            return func(*args, **kwargs)
        target = args[0] if args else kwargs.get("tensor")
        if func in _FILLS and isinstance(target, Tensor) and not target.numel():
            return target  # PyTorch warns of it: a classifier of no classes
        if isinstance(target, Tensor) and _is_large_and_whole(target):
            if func in _FILLS and kwargs.get("generator") is None:
                self.late.pop(_place(target), None)  # to the end of the order
                self.late[_place(target)] = target, partial(func, *args, **kwargs)
                return target
            if func is Tensor.copy_ and _place(target) != _place(args[1]):
                self.late.pop(_place(target), None)
        if self.late:
            for tensor in tree_leaves((args, kwargs)):
                if isinstance(tensor, Tensor) and tensor.device.type == "cpu":
                    self.late.pop(_place(tensor), (None, lambda: None))[1]()
        return func(*args, **kwargs)

    def __enter__(self) -> LateInit:
        _open.modes = getattr(_open, "modes", 0) + 1
        return super().__enter__()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        super().__exit__(kind, error, trace)
        _open.modes -= 1
        if kind is None and _open.modes:
            for _, fill in self.late.values():
                fill()  # is put off by the mode around this one
        elif kind is None and self.late:
            seeds = torch.randint(2**62, (len(self.late),)).tolist()
            fill = partial(_fill, inference=torch.is_inference_mode_enabled())  # which threads do not inherit
            with ThreadPoolExecutor(torch.get_num_threads()) as pool:
                list(pool.map(fill, self.late.values(), seeds))
        self.late.clear()


def _is_large_and_whole(tensor: Tensor) -> bool:
    """Whether it is worth waiting, and no part of a larger tensor."""
    if type(tensor) not in _PLAIN:  # fake tensors, which have no numbers, and others that hold theirs elsewhere
        return False
    if tensor.numel() < _LARGE or tensor.device.type != "cpu" or tensor.layout != torch.strided:
        return False
    return tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr() if tensor.layout == torch.strided else 0


def _fill(late: tuple[Tensor, partial], seed: int, inference: bool) -> None:
    fill = late[1]
    with torch.inference_mode() if inference else torch.no_grad():
        fill(generator=torch.Generator().manual_seed(seed)) if fill.func in _RANDOM else fill()
