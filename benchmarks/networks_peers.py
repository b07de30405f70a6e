"""Networks of torchvision, PyTorchVideo and transformers with weights of a seed, for benchmarks/networks.py.

Runs in an environment with any of the three.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

import torch
from peers import randomise, serve_networks
from torch import Tensor


def from_torchvision(name: str) -> tuple[torch.nn.Module, Callable]:
    from torchvision.models import video

    model = getattr(video, name)()
    return model, model


def from_pytorchvideo(name: str) -> tuple[torch.nn.Module, Callable]:
    from pytorchvideo.models import hub

    model = getattr(hub, name)(pretrained=False)
    if name.startswith("x3d"):
        model.blocks[-1].activation = None  # logits, not probabilities
    if name.startswith("slowfast"):  # its slow frames, as its transform takes them
        return model, lambda x: model([x[:, :, torch.linspace(0, x.shape[2] - 1, x.shape[2] // 4).long()], x])
    return model, model


def from_transformers(name: str) -> tuple[torch.nn.Module, Callable]:
    import transformers

    config = getattr(transformers, f"{name}Config")(num_labels=400)
    model = getattr(transformers, f"{name}ForVideoClassification")(config)
    return model, lambda x: model(x.transpose(1, 2)).logits


MAKERS = {"torchvision": from_torchvision, "PyTorchVideo": from_pytorchvideo, "transformers": from_transformers}


def build(peer: str, name: str) -> tuple[torch.nn.Module, dict[str, Tensor], Callable[[Tensor], Tensor]]:
    model, forward = MAKERS[peer](name)
    model.eval()
    randomise(model)
    return model, model.state_dict(), forward


def versions() -> dict[str, str]:
    found = {}
    for peer in MAKERS:
        try:
            found[peer] = importlib.import_module(peer.lower()).__version__
        except ImportError:
            continue
    return found


if __name__ == "__main__":
    serve_networks(versions(), build)
