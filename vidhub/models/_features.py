"""Feature maps of a network's stages, as timm's ``features_only`` gives them."""

from __future__ import annotations

from torch import Tensor, nn

from ..errors import InputError


class FeatureExtractor(nn.Module):
    """Clips (B, C, T, H, W) -> the feature maps of stages ``out_indices`` (None: all; n: the last n).

    What comes after the last of them is dropped from ``model``.

    ``feature_info`` describes each map: ``{"module", "num_chs", "reduction"}``, the reduction as (time, space).
    Two-pathway networks give pairs.
    """

    def __init__(self, model: nn.Module, out_indices: int | list[int] | None = None):
        super().__init__()
        if not hasattr(model, "forward_intermediates"):
            raise InputError(f"{model.arch} has no feature maps: features_only is not for it.")
        self.model = model
        self.out_indices = model.prune_intermediate_layers(out_indices)
        self.feature_info = [model.feature_info[i] for i in self.out_indices]
        self.data_config = model.data_config

    def forward(self, x: Tensor) -> list[Tensor]:
        return self.model.forward_intermediates(x, indices=self.out_indices)[1]
