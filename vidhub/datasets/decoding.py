"""What PyAV needs to be told on the way from a container to upright pictures; readers are made of it."""

from __future__ import annotations

import io
import itertools
import math
import os
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from ..errors import InputError, VideoError

_PYAV = int(av.__version__.partition(".")[0])
# from this version on PyAV shares each conversion between all cores, which takes longer than to do it on one
_ON_ONE_CORE = {"threads": 1} if _PYAV >= 17 else {}
# spares the decoding of the first frames while opening, by which FFmpeg finds out what headers may not tell
_HEADERS_ALONE = {"options": {"skip_frame": "all"}}
# titles and comments in unknown encodings are no reason to refuse a file; later versions have it so
ANY_METADATA = {"metadata_errors": "replace"} if _PYAV < 19 else {}


def silence() -> None:
    """Take FFmpeg's messages away from Python again, as PyAV has it unless told otherwise.

    Older versions of torchvision (0.19) ask for them when they are imported. A decoder's threads then wait for Python's
    lock with each message, while closing the decoder holds the lock and waits for them: for ever.
    """
    av.logging.set_level(None)


def file_address(path: str) -> str:
    """What FFmpeg opens as the file at ``path``: it would take a name with a colon in it for a URL."""
    return f"file:{os.path.abspath(path)}"


def binary(file: Any) -> BinaryIO:
    """The file itself; InputError where it gives text."""
    if isinstance(file, io.TextIOBase):
        raise InputError('a file object must be binary; open it with mode "rb".')
    return file


def can_seek(media: Any) -> bool:
    """Whether this is a file object that can seek; not all that can be read say so."""
    return hasattr(media, "seekable") and media.seekable()


def seekable(file: Any) -> BinaryIO:
    """The binary file itself if it can seek, else all that is left of it in memory."""
    return file if can_seek(binary(file)) else io.BytesIO(file.read())


def open_container(
    media: str | BinaryIO, name: str, format: str | None = None, *, quickly: bool = False
) -> av.container.InputContainer:
    """The media opened; in errors it is called ``name``. ``format`` None finds out the container's kind.

    Quickly takes a twentieth of the time for large H.264 pictures, of which the pixel format is then not known before
    decoding, nor for certain by how many frames the decoder has to reorder.

    Raises:
        FileNotFoundError, VideoError: it is not there, or not to be read.
    """
    silence()
    try:
        if can_seek(media):
            media.seek(0)
        return av.open(media, format=format, **ANY_METADATA, **(_HEADERS_ALONE if quickly else {}))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no video at {name}; check the path.") from error
    except (av.InvalidDataError, av.error.EOFError) as error:
        raise VideoError(f"{name} is not a video, or damaged beyond reading; check the file.") from error
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"cannot open {name} ({error.strerror}); check the file or address.") from error


def video_stream(container: av.container.InputContainer, name: str) -> av.video.stream.VideoStream:
    """The first stream of moving pictures; VideoError where there is none."""
    for stream in container.streams.video:
        if stream.codec_context is not None and not _is_cover(stream):
            return stream
    others = sorted({stream.type for stream in container.streams} & {"audio", "subtitle"})
    if others:
        raise VideoError(f"{name} has no video stream (only {' and '.join(others)}); give a file with pictures.")
    raise VideoError(f"{name} is not a video, or damaged beyond reading; check the file.")


def _is_cover(stream: Any) -> bool:
    """Whether this is the still picture that comes with a piece of music."""
    return "attached_pic" in str(getattr(stream, "disposition", ""))


def packets_of(container: av.container.InputContainer, stream: Any) -> Iterator[av.Packet]:
    """The packets of ``stream`` from here on, up to the end or to where the file is cut."""
    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except (av.FFmpegError, OSError):
        return


def decode(stream: Any, packets: Iterator[av.Packet], errors: list[Exception] | None = None) -> Iterator[av.VideoFrame]:
    """Every frame that ``packets`` give; those that do not decode are passed over, and noted in ``errors`` if given."""
    for packet in itertools.chain(packets, [None]):
        try:
            yield from stream.codec_context.decode(packet)
        except av.FFmpegError as error:
            if errors is not None:
                errors.append(error)


def to_rgb(reformatter: VideoReformatter, frame: av.VideoFrame, size: tuple[int, int]) -> np.ndarray:
    """(height, width, 3) uint8, scaled to ``size``: a view of FFmpeg's own memory, whose rows may lie apart."""
    height, width = size
    plane = reformatter.reformat(frame, width=width, height=height, format="rgb24", **_ON_ONE_CORE).planes[0]
    return np.frombuffer(plane, np.uint8).reshape(height, plane.line_size)[:, : 3 * width].reshape(height, width, 3)


class Turn(NamedTuple):
    """How stored pictures are brought upright: swap height and width first, then mirror."""

    swap: bool = False
    mirror_x: bool = False
    mirror_y: bool = False
    degrees: int = 0

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Turn:
        """As the display matrix of ``frame`` asks, to the nearest quarter turn."""
        # PyAV ties a frame and its side data into a cycle, so that a frame asked for it lives on until the collector
        # comes round. A thumbnail keeps that from holding on to full pictures.
        thumbnail = VideoReformatter().reformat(frame, width=16, height=16, format="gray", **_ON_ONE_CORE)
        found = thumbnail.side_data
        for side_data in (found[i] for i in range(len(found))):  # iterating gives keys in some versions, else values
            if str(getattr(side_data.type, "name", side_data.type)) == "DISPLAYMATRIX":
                a, b, _, c, d = struct.unpack("=5i", bytes(side_data)[:20])
                break
        else:
            return cls()
        swap = abs(b) + abs(c) > abs(a) + abs(d)
        degrees = round(math.degrees(math.atan2(-c, d)) / 90) * 90 % 360
        return cls(swap, (c if swap else a) < 0, (b if swap else d) < 0, degrees)

    def stored_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) before the turn of a picture that has ``size`` after it, and the other way round."""
        return (size[1], size[0]) if self.swap else size

    def upright(self, picture: np.ndarray) -> np.ndarray:
        """A stored picture (H, W, 3), turned: a view of it."""
        if self.swap:
            picture = picture.transpose(1, 0, 2)
        if self.mirror_x:
            picture = picture[:, ::-1]
        if self.mirror_y:
            picture = picture[::-1]
        return picture
