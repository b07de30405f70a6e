"""From waveforms to what audio networks take: log-mel spectrograms, and clips of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from ..weights.types import AudioConfig
from ._random import uniform

_SMALLEST = 1e-5  # amplitude that still counts in decibels: -100 dB


def normalize_rms(wave: Tensor, rms: float = 0.1) -> Tensor:
    """Scale a waveform to this root mean square; one that is next to silent is scaled by ``1e4 * rms`` at most."""
    return wave * (rms / wave.double().square().mean().sqrt().clamp(min=1e-4).item())


def analysis_window(fft_size: int, hop_size: int) -> Tensor:
    """The window whose squares, moved by the hop again and again, add up to one: float64 (fft_size,)."""
    hann = 0.5 * (1 - torch.cos(2 * math.pi * (torch.arange(fft_size, dtype=torch.float64) + 0.5) / fft_size))
    total = sum(hann.roll(shift) for shift in range(0, fft_size, hop_size))
    return (hann / total).sqrt()


def mel_filter_bank(
    sample_rate: int, fft_size: int, num_mels: int = 80, fmin: float = 0.0, fmax: float | None = None
) -> Tensor:
    """Triangles on the mel scale of Slaney's Auditory Toolbox, each of area one: float32 (num_mels, 1 + fft_size / 2).

    Args:
        fmin, fmax: lowest and highest frequency in Hz; None: half the sample rate.
    """
    edges = _mel_to_hz(torch.linspace(_hz_to_mel(fmin), _hz_to_mel(fmax or sample_rate / 2), num_mels + 2).double())
    bins = torch.linspace(0, sample_rate / 2, 1 + fft_size // 2, dtype=torch.float64)
    low, middle, high = (e[:, None] for e in (edges[:-2], edges[1:-1], edges[2:]))
    triangles = torch.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)).clamp(min=0)
    return (triangles * 2 / (high - low)).float()


# Slaney's scale: linear below 1000 Hz (3 mel every 200 Hz), logarithmic above (27 mel for a factor of 6.4)
_LINEAR = 3 / 200
_BREAK = 1000.0
_LOG_STEP = math.log(6.4) / 27


def _hz_to_mel(hz: float) -> float:
    return hz * _LINEAR if hz < _BREAK else _BREAK * _LINEAR + math.log(hz / _BREAK) / _LOG_STEP


def _mel_to_hz(mel: Tensor) -> Tensor:
    knee = _BREAK * _LINEAR
    return torch.where(mel < knee, mel / _LINEAR, _BREAK * torch.exp(_LOG_STEP * (mel - knee)))


def log_mel(wave: Tensor, config: AudioConfig) -> Tensor:
    """The log-mel spectrogram of a waveform (N,): float32 (rows, config.num_mels), from 0 (-80 dB) to 1 (20 dB).

    The waveform is scaled to a root mean square of 0.1. There is a row for each hop; the first one ends where the first
    hop does. As the sound features of MMAction2 are made.
    """
    size, hop = config.fft_size, config.hop_size
    wave = F.pad(normalize_rms(wave.double()), (size - hop, 0))
    rows = math.ceil(len(wave) / hop)
    wave = F.pad(wave, (0, (rows - 1) * hop + size - len(wave)))
    spectrum = torch.fft.rfft(wave.unfold(0, size, hop) * analysis_window(size, hop)).abs()
    bank = mel_filter_bank(config.sample_rate, size, config.num_mels, config.fmin, config.fmax).double()
    decibels = 20 * (spectrum @ bank.T).clamp(min=_SMALLEST).log10() - 20
    return ((decibels + 100) / 100).clamp(0, 1).float()


def magnitude_spectrogram(wave: Tensor, fft_size: int, hop_size: int) -> Tensor:
    """Magnitudes of the centred short-time Fourier transform with a Hann window: (1 + fft_size / 2, frames)."""
    window = torch.hann_window(fft_size, dtype=wave.dtype, device=wave.device)
    spectrum = torch.stft(wave, fft_size, hop_size, window=window, pad_mode="constant", return_complex=True)
    return spectrum.abs()


def power_mel(wave: Tensor, sample_rate: int, fft_size: int, hop_size: int, num_mels: int = 80) -> Tensor:
    """Powers in mel bands from 0 Hz to half the sample rate: (num_mels, frames)."""
    bank = mel_filter_bank(sample_rate, fft_size, num_mels).to(wave)
    return bank @ magnitude_spectrogram(wave, fft_size, hop_size).square()


@dataclass(frozen=True)
class AudioTransform:
    """Cuts clips out of a sound track's log-mel spectrogram; ``create_transform`` makes it. Can be pickled."""

    config: AudioConfig
    training: bool
    num_clips: int
    modality = "audio"  # of the reader that `load` takes

    @property
    def num_views(self) -> int:
        return self.num_clips

    def load(self, reader: Any, generator: torch.Generator | None = None) -> Tensor:
        """Float (num_clips, 1, config.num_rows, config.num_mels), clips spread evenly; in training (1, rows, mels).

        Args:
            reader: an ``AudioReader``, or anything with ``waveform(sample_rate) -> float (N,)``; or a
                ``StoredSpectrogram``, made as ``log_mel`` makes them.
        """
        if hasattr(reader, "spectrogram"):
            return self(reader.spectrogram, generator)
        return self(log_mel(reader.waveform(self.config.sample_rate), self.config), generator)

    def __call__(self, spectrogram: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The clips of :meth:`load` from a spectrogram (rows, mels); shorter ones are filled up with zeros.

        Raises:
            InputError: another number of mel bands.
        """
        if spectrogram.ndim != 2 or spectrogram.shape[1] != self.config.num_mels:
            got = tuple(spectrogram.shape)
            raise InputError(f"spectrograms must be (rows, {self.config.num_mels}), not of shape {got}.")
        rows = self.config.num_rows
        spectrogram = F.pad(spectrogram, (0, 0, 0, max(rows - len(spectrogram), 0)))
        room = len(spectrogram) - rows
        if self.training:
            start = int(uniform(1, generator)[0] * (room + 1))
            return spectrogram[None, start : start + rows].clone()
        starts = [room // 2] if self.num_clips == 1 else np.linspace(0, room, self.num_clips).round().astype(int)
        return torch.stack([spectrogram[None, start : start + rows] for start in starts])
