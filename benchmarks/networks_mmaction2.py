"""MMAction2's networks with weights of a seed, for benchmarks/networks.py; runs in an environment of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from peers import allow_mmaction2, randomise, serve_networks
from torch import Tensor, nn

allow_mmaction2()

import mmaction  # noqa: E402
from mmaction.registry import MODELS  # noqa: E402
from mmaction.utils import register_all_modules  # noqa: E402
from mmengine import Config  # noqa: E402

CONFIGS = Path(mmaction.__file__).parent / ".mim" / "configs"


def build(config: str) -> tuple[nn.Module, dict[str, Tensor], Callable[[Tensor], Tensor]]:
    settings = Config.fromfile(CONFIGS / config).model
    for part in (settings, settings.get("backbone", {})):  # nothing is downloaded
        part.pop("init_cfg", None)
        if part.get("pretrained"):
            part["pretrained"] = None
    model = MODELS.build(settings).eval()
    randomise(model)

    def forward(x: Tensor) -> Tensor:
        if settings.type == "BMN":
            return model._forward(x)[0]
        features, options = model.extract_feat(x, test_mode=True)
        return model.cls_head(features, **options)

    return model, {"state_dict": model.state_dict()}, forward


if __name__ == "__main__":
    register_all_modules()
    serve_networks({"MMAction2": mmaction.__version__}, lambda peer, name: build(name))
