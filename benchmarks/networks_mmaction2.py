"""MMAction2's networks with weights of a seed, for benchmarks/networks.py; runs in an environment of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from peers import allow_mmaction2, serve


def randomise(model: torch.nn.Module) -> None:
    """Statistics and scales of norms as after training, so that no part of a network is switched off."""
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            for tensor, low, high in ((module.running_var, 0.5, 1.5), (module.weight.data, 0.5, 1.0)):
                tensor.uniform_(low, high, generator=generator)
            for tensor in (module.running_mean, module.bias.data):
                tensor.normal_(0, 0.1, generator=generator)


def main() -> None:
    allow_mmaction2()
    import mmaction
    from mmaction.registry import MODELS
    from mmaction.utils import register_all_modules
    from mmengine import Config

    register_all_modules()
    configs = Path(mmaction.__file__).parent / ".mim" / "configs"
    now = {}

    def build(config: str, path: str) -> str:
        torch.manual_seed(0)
        settings = Config.fromfile(configs / config).model
        for part in (settings, settings.get("backbone", {})):  # nothing is downloaded
            part.pop("init_cfg", None)
            if part.get("pretrained"):
                part["pretrained"] = None
        now["model"] = MODELS.build(settings).eval()
        randomise(now["model"])
        state = now["model"].state_dict()
        if (
            settings.get("backbone", {}).get("type") == "X3D"
        ):  # its published weights have no norm there, so that it does nothing
            norm = now["model"].backbone.layer1[0].downsample.bn
            norm.reset_running_stats(), norm.reset_parameters()
            state = {name: value for name, value in state.items() if "layer1.0.downsample.bn" not in name}
        torch.save({"state_dict": state}, path)
        return mmaction.__version__

    def load(path: str, kind: str) -> None:
        now["input"], now["kind"] = torch.from_numpy(np.load(path)), kind

    @torch.inference_mode()
    def forward() -> None:
        model, x = now["model"], now["input"]
        if now["kind"] == "features":
            now["output"] = model._forward(x)[0]
        else:
            features, options = model.extract_feat(x, test_mode=True)
            now["output"] = model.cls_head(features, **options)

    def save(path: str) -> list:
        np.save(path, now["output"].float().numpy())
        return list(now["output"].shape)

    serve({"build": build, "load": load, "forward": forward, "save": save})


if __name__ == "__main__":
    main()
