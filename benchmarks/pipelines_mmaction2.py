"""MMAction2's pipelines and inferencer, for benchmarks/pipelines.py; runs in an environment of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peers import allow_mmaction2, serve

# SlowFast's and SlowOnly's on Kinetics; the last step makes float pixels of them, as ours does
DECODE = [
    {"type": "DecordInit"},
    {"type": "SampleFrames", "clip_len": 32, "frame_interval": 2, "num_clips": 1},
    {"type": "DecordDecode"},
    {"type": "Resize", "scale": (-1, 256)},
]
FINISH = [{"type": "FormatShape", "input_format": "NCTHW"}, {"type": "PackActionInputs"}]
TRAIN = [
    *DECODE,
    {"type": "RandomResizedCrop"},
    {"type": "Resize", "scale": (224, 224), "keep_ratio": False},
    {"type": "Flip", "flip_ratio": 0.5},
    *FINISH,
]
TEST = [*DECODE, {"type": "ThreeCrop", "crop_size": 256}, *FINISH]
TEST[1] = {**DECODE[1], "num_clips": 10, "test_mode": True}


def one_view(settings: Any) -> list[dict]:
    """The pipeline of validation, or that of testing with the middle clip and crop alone."""
    if "val_pipeline" in settings:
        return settings.val_pipeline
    changes = {"SampleFrames": {"num_clips": 1}, "ThreeCrop": {"type": "CenterCrop", "crop_size": 224}}
    return [{**step, **changes.get(step["type"], {})} for step in settings.test_pipeline]


def main() -> None:
    allow_mmaction2()
    import mmaction
    from mmaction.apis.inferencers import ActionRecogInferencer
    from mmaction.models import ActionDataPreprocessor
    from mmaction.registry import MODELS
    from mmaction.utils import register_all_modules
    from mmengine import Config
    from mmengine.dataset import Compose, pseudo_collate

    register_all_modules()
    normalise = ActionDataPreprocessor([123.675, 116.28, 103.53], [58.395, 57.12, 57.375], format_shape="NCTHW")
    pipelines = {"train": Compose(TRAIN), "test": Compose(TEST)}
    configs = Path(mmaction.__file__).parent / ".mim" / "configs"
    now = {}

    def sample(path: str, kind: str) -> list:
        given = {"filename": path, "label": 0, "start_index": 0, "modality": "RGB"}
        return list(normalise(pseudo_collate([pipelines[kind](given)]))["inputs"].shape)

    def prepare(config: str, path: str) -> None:
        """An inferencer with one view a video, and its weights in a file."""
        torch.manual_seed(0)
        settings = Config.fromfile(configs / config)
        settings.test_pipeline = settings.test_dataloader.dataset.pipeline = one_view(settings)
        settings.model.backbone.pretrained = None
        model = MODELS.build(settings.model).eval()
        classifier = [module for module in model.modules() if isinstance(module, torch.nn.Linear)][-1]
        torch.nn.init.normal_(classifier.weight, std=0.3)  # or all scores would be much the same
        torch.save({"state_dict": model.state_dict()}, path)
        now["inferencer"] = ActionRecogInferencer(settings, path, device="cpu")

    def predict(paths: list[str]) -> list:
        found = now["inferencer"](paths, return_datasamples=False)["predictions"]
        return [int(np.argmax(one["pred_scores"])) for one in found]

    os.environ.setdefault("TERM", "dumb")
    serve({"sample": sample, "prepare": prepare, "predict": predict})


if __name__ == "__main__":
    main()
