"""Files inside zip and tar archives, read in place: ``"ARCHIVE::MEMBER"``."""

from __future__ import annotations

import functools
import io
import os
import tarfile
import threading
import zipfile
from typing import BinaryIO

from ..errors import VideoError
from .video_io import IMAGE_SUFFIXES, natural_order

SEPARATOR = "::"
ARCHIVE_SUFFIXES = (".zip", ".tar")
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")


def list_members(archive: str | os.PathLike) -> list[str]:
    """Names of the files in an archive, in natural order.

    Raises:
        FileNotFoundError: there is no such file.
        VideoError: it is damaged, or a compressed tar file, in which nothing can be found without unpacking it.
    """
    return list(_members(os.fspath(archive), _version(archive)))


def open_member(path: str) -> BinaryIO:
    """The file ``"ARCHIVE::MEMBER"``, in memory, to read and seek.

    Raises:
        FileNotFoundError: there is no such archive or member.
        VideoError: the archive is damaged or ends early.
    """
    archive, _, name = path.partition(SEPARATOR)
    members = _members(archive, _version(archive))
    if name not in members:
        raise FileNotFoundError(f"there is no {name!r} in the archive {archive!r}.")
    place = members[name]
    try:
        with open(archive, "rb") as file:
            if isinstance(place, zipfile.ZipInfo):
                return io.BytesIO(_without_contents(file).read(place))
            file.seek(place[0])
            content = file.read(place[1])
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise VideoError(f"{path!r} cannot be unpacked ({error}); get the archive again.") from error
    if len(content) < place[1]:
        raise VideoError(f"{archive!r} ends inside {name!r}; get the archive again.")
    return io.BytesIO(content)


def member_frames(path: str) -> list[str]:
    """The frame images in the folder ``"ARCHIVE::FOLDER"``, in natural order; [] where it is no folder of images."""
    archive, _, folder = path.partition(SEPARATOR)
    return [f"{archive}{SEPARATOR}{folder}/{name}" for name in _folders(archive, _version(archive)).get(folder, ())]


def _without_contents(file: BinaryIO) -> zipfile.ZipFile:
    """An archive of which every member is known already: reading its table of contents again takes long."""
    empty = io.BytesIO(b"PK\x05\x06" + bytes(18))
    archive = zipfile.ZipFile(empty)
    archive.fp = file
    return archive


def _version(archive: str | os.PathLike) -> tuple[int, int]:
    """What changes when the archive does."""
    status = os.stat(archive)
    return status.st_mtime_ns, status.st_size


_LOCK = threading.Lock()
if hasattr(os, "register_at_fork"):  # where there is forking: it may be held at that moment
    os.register_at_fork(after_in_child=lambda: globals().update(_LOCK=threading.Lock()))

_Place = tuple[int, int] | zipfile.ZipInfo  # offset and size in a tar file


def _members(archive: str, version: tuple[int, int]) -> dict[str, _Place]:
    with _LOCK:  # or every thread would scan a large archive for itself
        return _scan(archive, version)


@functools.cache  # without a limit: shards are read in any order, and a large table takes long
def _scan(archive: str, version: tuple[int, int]) -> dict[str, _Place]:
    """Where every file in the archive is; hidden ones and those that macOS adds are left out."""
    if archive.lower().endswith(_COMPRESSED):
        raise VideoError(f"{archive!r} is compressed as a whole, so its files cannot be read in place: unpack it.")
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                found = {info.filename: info for info in file.infolist() if not info.is_dir()}
        else:
            with tarfile.open(archive, "r:") as file:
                found = {info.name.removeprefix("./"): (info.offset_data, info.size) for info in file if info.isfile()}
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise VideoError(f"{archive!r} is no readable zip or tar file ({error}); get it again.") from error
    hidden = [name for name in found if any(part.startswith((".", "__MACOSX")) for part in name.split("/"))]
    return {name: found[name] for name in sorted(found.keys() - hidden, key=natural_order)}


@functools.cache
def _folders(archive: str, version: tuple[int, int]) -> dict[str, list[str]]:
    """The images in each folder."""
    folders: dict[str, list[str]] = {}
    for path in _members(archive, version):
        folder, _, name = path.rpartition("/")
        if name.lower().endswith(IMAGE_SUFFIXES):
            folders.setdefault(folder, []).append(name)
    return folders
