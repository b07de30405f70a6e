"""A ResNet on log-mel spectrograms: action recognition by sound.

The audio pathway of Xiao et al., "Audiovisual SlowFast Networks for Video Recognition", 2020,
https://arxiv.org/abs/2001.08740, as MMAction2 trains it. Published on Kinetics-400: ResNet-18 13.7 % top-1.
"""

from __future__ import annotations

from torch import Tensor

from ..errors import InputError
from ..weights.types import AudioConfig
from ._registry import register_model
from .layers.frames import FrameModel


class AudioModel(FrameModel):
    """An image network of timm on a spectrogram: (B, 1, T, F) -> (B, num_classes).

    Feature maps are (B, channels, 1, time, frequency).
    """

    default_data_config = AudioConfig()

    def __init__(self, num_classes: int = 400, in_chans: int = 1, dropout: float = 0.5, *, backbone: str = "resnet18"):
        super().__init__(num_classes, in_chans, dropout, backbone=backbone)

    def forward_features(self, x: Tensor) -> Tensor:
        """Spectrograms (B, 1, T, F) -> the backbone's feature map (B, C', 1, t, f)."""
        return super().forward_features(self._as_frame(x))

    def forward_intermediates(self, x: Tensor, indices: int | list[int] | None = None) -> tuple[Tensor, list[Tensor]]:
        return super().forward_intermediates(self._as_frame(x), indices)

    def _as_frame(self, x: Tensor) -> Tensor:
        if x.ndim != 4 or x.shape[1] != self.in_chans:
            raise InputError(
                f"expected spectrograms of shape (batch, {self.in_chans}, time, frequency), got {tuple(x.shape)}."
            )
        return x.unsqueeze(2)


@register_model
def tsn_r18_audio(**kwargs) -> AudioModel:
    """ResNet-18 on log-mel spectrograms: (B, 1, 128, 80) -> (B, num_classes)."""
    return AudioModel(**kwargs)
