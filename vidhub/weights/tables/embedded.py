"""The small network inside the package, trained by examples/finetune.py; its card is beside its weights."""

from ..types import DataConfig, Weights

EMBEDDED = "x3d_xs.vidhub_fight"

TABLE: tuple[Weights, ...] = (
    Weights(
        url="package:weights/embedded/fight/model.safetensors",
        arch="x3d_xs",
        tag="vidhub_fight",
        num_classes=2,
        data_config=DataConfig(
            num_frames=12,
            stride=4,
            size=80,
            resize=91,
            mean=(0.45,) * 3,
            std=(0.225,) * 3,
            target_fps=30.0,
            views=(3, 1),
        ),
        num_params=1_837_622,
        sha256="00c0199ea4410ec7eb6d7259e967e3d57ebe81d98071306cc4978bf4571a400d",
        kwargs={"depth": 1.0},
        label_set="fight",
        metrics={"top1": 76.0},
        dataset="surveillance fights",
        license="apache-2.0",
        paper="https://arxiv.org/abs/2004.04730",
    ),
)
