"""Networks that learn from hidden parts of clips without labels: VideoMAE and MaskFeat.

Tong et al., "VideoMAE: Masked Autoencoders are Data-Efficient Learners for Self-Supervised Video Pre-Training", NeurIPS
2022, https://arxiv.org/abs/2203.12602; Wang et al., "VideoMAE V2", CVPR 2023, https://arxiv.org/abs/2303.16727; Wei et
al., "Masked Feature Prediction for Self-Supervised Visual Pre-Training", CVPR 2022, https://arxiv.org/abs/2112.09133.
Masks, targets and losses are in ``vidhub.engine.pretrain``; what is kept afterwards is ``encoder``.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import InputError
from .layers.attention import Block, init_transformer, layer_norm
from .layers.pos_embed import sinusoid_table
from .layers.recognizer import Recognizer
from .vit3d import ViT3D


class VideoMAE(nn.Module):
    """A masked autoencoder: the encoder sees only the tokens that are shown, a small decoder predicts the others.

    Args:
        encoder: without a class token. Its classifier is removed.
        decoder_dim: channels of the decoder's tokens.
        decoder_depth: blocks of the decoder.
    """

    def __init__(self, encoder: ViT3D, *, decoder_dim: int = 384, decoder_depth: int = 4, decoder_heads: int = 6):
        super().__init__()
        if encoder.num_front:
            raise InputError("VideoMAE hides tokens of the clip: its encoder must not have a class token.")
        self.encoder = _without_head(encoder)
        self.grid = encoder.grid
        weight = encoder.patch_embed.weight  # (dim, C, frames, height, width)
        self.norm = layer_norm(weight.shape[0])
        self.to_decoder = nn.Linear(weight.shape[0], decoder_dim, bias=False)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder_dim))
        self.register_buffer("pos_embed", sinusoid_table(math.prod(self.grid), decoder_dim), persistent=False)
        self.decoder = nn.ModuleList(Block(decoder_dim, decoder_heads, bias="qv") for _ in range(decoder_depth))
        self.decoder_norm = layer_norm(decoder_dim)
        self.to_pixels = nn.Linear(decoder_dim, weight[0].numel())
        for module in (self.to_decoder, self.decoder, self.to_pixels):
            init_transformer(module)
        nn.init.trunc_normal_(self.mask_token, std=0.02)

    def forward(self, clips: Tensor, hidden: Tensor, wanted: Tensor | None = None) -> Tensor:
        """Predicted pixels of hidden tokens.

        Args:
            clips: (B, C, T, H, W), of the encoder's frames and size.
            hidden: bool (B, N), as many in every row.
            wanted: bool (B, N), those of them to be predicted; None: all.

        Returns:
            (B, predicted tokens, frames x height x width x C of a token), in the order of the tokens.
        """
        wanted = hidden if wanted is None else wanted & hidden
        x, grid = self.encoder.embed(clips)
        if grid != self.grid:
            raise InputError(f"this network was built for tokens {self.grid} (time, height, width), not {grid}.")
        x = _rows(x, ~hidden)
        for block in self.encoder.blocks:
            x = self.encoder.run_block(block, x, grid)
        x = self.to_decoder(self.norm(x))
        positions = self.pos_embed.expand(x.shape[0], -1, -1)
        asked = self.mask_token + _rows(positions, wanted)
        x = torch.cat((x + _rows(positions, ~hidden), asked), 1)
        for block in self.decoder:
            x = block(x)
        return self.to_pixels(self.decoder_norm(x[:, -asked.shape[1] :]))


class MaskFeat(nn.Module):
    """Any network with a ``patch_embed``, its hidden patches replaced by a learned token, predicts their gradients.

    Args:
        encoder: its last feature map is used; its classifier is removed.
        bins: orientations of a histogram.
        cell: side of the square of pixels of a histogram; the encoder's reduction must be a multiple.
    """

    def __init__(self, encoder: Recognizer, *, bins: int = 9, cell: int = 8):
        super().__init__()
        self.encoder, self.bins, self.cell = _without_head(encoder), bins, cell
        last = encoder.feature_info[-1]
        self.reduction = last["reduction"]  # (time, space)
        if self.reduction[1] % cell:
            raise InputError(f"cells of {cell} pixels do not fill the patches of {self.reduction[1]} pixels.")
        self.mask_token = nn.Parameter(torch.zeros(1, encoder.patch_embed.out_channels, 1, 1, 1))
        self.to_histograms = nn.Linear(last["num_chs"], encoder.in_chans * bins * (self.reduction[1] // cell) ** 2)
        nn.init.trunc_normal_(self.mask_token, std=0.02)
        init_transformer(self.to_histograms)

    def forward(self, clips: Tensor, hidden: Tensor) -> Tensor:
        """Predicted histograms, see ``vidhub.engine.pretrain.histograms``.

        Args:
            clips: (B, C, T, H, W).
            hidden: bool (B, t, h, w), in the grid of the last feature map.

        Returns:
            (B, t, h, w, histograms of a patch).
        """

        def hide(module: nn.Module, inputs: tuple[Tensor], x: Tensor) -> Tensor:
            covered = F.interpolate(hidden[:, None].to(x.dtype), x.shape[2:]).bool()
            return torch.where(covered, self.mask_token.to(x.dtype), x)

        hook = self.encoder.patch_embed.register_forward_hook(hide)
        try:
            maps = self.encoder.forward_intermediates(clips, indices=1)[1]
        finally:
            hook.remove()
        return self.to_histograms(maps[0].permute(0, 2, 3, 4, 1))


def _without_head(encoder: Recognizer) -> Recognizer:
    """``encoder`` without a classifier; what comes after its last feature map is not trained."""
    encoder.reset_classifier(0)
    for name in ("norm", "head"):
        if hasattr(encoder, name):
            getattr(encoder, name).requires_grad_(False)
    return encoder


def _rows(x: Tensor, chosen: Tensor) -> Tensor:
    """The chosen tokens of (B, N, C), as many in every row: (B, n, C)."""
    return x[chosen].reshape(x.shape[0], -1, x.shape[2])
