"""The sound of videos and sound files, and stored spectrograms of it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any, BinaryIO

import av
import numpy as np
import torch

from ..errors import InputError, VideoError, in_one_line
from .decoding import file_address, open_container, seekable


class AudioReader:
    """The first sound track of a file.

    Args:
        src: path, URL, bytes or binary file.
        start, end: seconds of the part that is read; None: from the beginning, to the end.

    Raises:
        FileNotFoundError: there is no such file.
        VideoError: it cannot be read, or has no sound; or the part is empty.
        InputError: another kind of source.
    """

    def __init__(self, src: Any, *, start: float | None = None, end: float | None = None):
        self.start, self.end = max(start or 0.0, 0.0), end
        self.name = (
            os.fsdecode(src) if isinstance(src, (str, os.PathLike)) else getattr(src, "name", type(src).__name__)
        )
        if isinstance(src, (bytes, bytearray, memoryview)):
            src = BytesIO(src)
        elif isinstance(src, (str, os.PathLike)):
            src = os.fsdecode(src)
            if "://" not in src:
                if not os.path.isfile(src):
                    raise FileNotFoundError(f"there is no file {src!r}.")
                src = file_address(src)
        elif not hasattr(src, "read"):
            raise InputError(f"sound is read from paths, URLs, bytes and binary files, not from {type(src).__name__}.")
        else:
            src = seekable(src)
        if end is not None and end <= self.start:
            raise VideoError(f"the part of {self.name!r} from {self.start:g} to {end:g} s is empty.")
        try:
            self._container = open_container(src, repr(self.name))
        except VideoError as error:
            raise VideoError(f"{self.name!r} cannot be read: {in_one_line(error.__cause__)}.") from error
        if not self._container.streams.audio:
            self.close()
            raise VideoError(f"{self.name!r} has no sound track.")

    def waveform(self, sample_rate: int) -> torch.Tensor:
        """The mean of its channels: float32 (N,), usually within [-1, 1].

        Raises:
            VideoError: nothing can be decoded, or the sound ends before the part.
        """
        parts = itertools.groupby(self._frames(), lambda frame: (frame.format.name, frame.layout.name, frame.rate))
        pieces = [piece for _, frames in parts for piece in _mono(frames, sample_rate)]
        if not pieces:
            raise VideoError(f"the sound track of {self.name!r} is empty.")
        last = None if self.end is None else round(self.end * sample_rate)
        wave = np.concatenate(pieces)[round(self.start * sample_rate) : last]
        if not len(wave):
            raise VideoError(f"the sound of {self.name!r} ends before {self.start:g} s.")
        return torch.from_numpy(wave)

    def _frames(self) -> Iterator[av.AudioFrame]:
        """The frames up to the end, or to where the file is damaged; VideoError where there are none before that."""
        self._container.seek(0)
        frame = None
        try:
            for frame in self._container.decode(self._container.streams.audio[0]):
                frame.pts = None  # a gap in the time stamps would be filled with silence
                yield frame
        except (av.FFmpegError, OSError) as error:
            if frame is None:
                raise VideoError(f"the sound of {self.name!r} cannot be decoded: {in_one_line(error)}.") from error

    def close(self) -> None:
        self._container.close()

    def __enter__(self) -> AudioReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _mono(frames: Iterable[av.AudioFrame], sample_rate: int) -> Iterator[np.ndarray]:
    """The mean of the channels, piece by piece; all ``frames`` have one format, layout and rate, as resamplers need."""
    to_float = av.AudioResampler("flt")  # channels together: apart, PyAV reads beyond the eighth
    resample = av.AudioResampler("fltp", "mono", sample_rate)
    for frame in itertools.chain(frames, [None]):
        for converted in to_float.resample(frame):
            channels = converted.to_ndarray().reshape(-1, converted.layout.nb_channels)
            mono = av.AudioFrame.from_ndarray(channels.mean(1)[None], "fltp", "mono")
            mono.sample_rate = converted.sample_rate
            yield from (out.to_ndarray()[0] for out in resample.resample(mono))
    yield from (out.to_ndarray()[0] for out in resample.resample(None))


class StoredSpectrogram:
    """The log-mel spectrogram in an ``.npy`` file, as MMAction2's lists of sound features have them.

    Raises:
        FileNotFoundError: there is no such file.
        VideoError: it holds something else.
    """

    def __init__(self, src: str | os.PathLike | BinaryIO):
        name = os.fspath(src) if isinstance(src, (str, os.PathLike)) else getattr(src, "name", "the given file")
        try:
            values = np.load(src, allow_pickle=False)
        except FileNotFoundError:
            raise FileNotFoundError(f"there is no file {name!r}.") from None
        except (OSError, ValueError, EOFError) as error:
            raise VideoError(f"{name!r} is no NumPy file of numbers ({in_one_line(error)}).") from error
        if not isinstance(values, np.ndarray) or values.ndim != 2 or values.dtype.kind not in "iuf":
            found = f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else "several arrays"
            raise VideoError(f"{name!r} must hold a spectrogram (rows, mel bands), and holds {found}.")
        if not np.isfinite(values).all():
            raise VideoError(f"the spectrogram in {name!r} holds NaN or infinity: make it again.")
        self.spectrogram = torch.from_numpy(values.astype(np.float32))

    def __enter__(self) -> StoredSpectrogram:
        return self

    def __exit__(self, *exception: object) -> None:
        pass
