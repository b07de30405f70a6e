"""Where a checkpoint comes from: find it, download, verify, cache it as safetensors.

    checkpoint=FILE, else the cache, else VIDHUB_MIRROR, else weights.sources in order -> one .safetensors in the cache

VIDHUB_CACHE is the cache folder (default: vidhub in $XDG_CACHE_HOME or ~/.cache). VIDHUB_MIRROR is asked before the
published sources: an http(s) base that replaces scheme and host, or a folder that holds the files under their published
paths or bare names. VIDHUB_OFFLINE=1 or HF_HUB_OFFLINE=1: the network is never touched.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import logging
import os
import shutil
import time
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from torch import Tensor

from ..errors import WeightsError
from .files import one_line, read_state_dict, write_safetensors
from .types import Weights

_logger = logging.getLogger("vidhub")
_told: set[str] = set()  # names of the weights whose licence was shown

_ATTEMPTS = 4  # in a row without a new byte
_PAUSE = 0.5  # seconds before the second attempt, then doubled
_TIMEOUT = 30.0  # seconds without an answer
_CHUNK = 1 << 16  # bytes


def fetch_state_dict(
    weights: Weights, *, checkpoint: str | Path | None = None, progress: bool = True, by_path: bool = True
) -> dict[str, Tensor]:
    """The tensors of a published checkpoint, under the publisher's own keys.

    Downloaded once and kept as safetensors; from then on no network is needed. Several processes may call this at
    once: one downloads and the others wait.

    Args:
        weights: which checkpoint.
        checkpoint: read this file instead of looking for one.
        progress: show a bar while downloading.
        by_path: whether the caller's own callers may pass a file as ``checkpoint_path``, which the error then tells.

    Returns:
        Name to tensor, on the CPU; treat them as read-only, they may be mapped from the file.

    Raises:
        FileNotFoundError: there is no file ``checkpoint``.
        WeightsError: no source could be used (the message lists each with its reason), or the file is unreadable.
    """
    tell_licence(weights)
    if checkpoint is not None:
        return read_state_dict(checkpoint)
    if weights.url.startswith("package:"):
        packaged = importlib.resources.files("vidhub") / weights.url.removeprefix("package:")
        with importlib.resources.as_file(packaged) as path:
            return read_state_dict(path)

    final = cache_path(weights)
    try:
        state = _read_cached(final, weights.sha256)
        if state is None:
            from filelock import FileLock

            final.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{final}.lock"):
                state = _read_cached(final, weights.sha256)  # another process may have been faster
                if state is None:
                    _fill_cache(weights, final, progress, by_path)
                    state = _read_cached(final, weights.sha256)
    except OSError as error:
        raise WeightsError(
            f"the cache folder {str(final.parent)!r} cannot be used ({one_line(error)}): "
            "set VIDHUB_CACHE to one that can be written."
        ) from error
    return state


def tell_licence(weights: Weights) -> None:
    """Warn, once a process, of weights that are not for commercial use."""
    if not weights.commercial_use and weights.name not in _told:
        _told.add(weights.name)
        licence = weights.license or "by their publisher"
        _logger.warning("the weights %s are licensed %s: no commercial use.", weights.name, licence)


def cache_path(weights: Weights) -> Path:
    """Where the cache keeps, or would keep, this checkpoint."""
    base = os.environ.get("VIDHUB_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "vidhub")
    return Path(base).expanduser() / f"{_file_name(weights.url)}.safetensors"


def _fill_cache(weights: Weights, final: Path, progress: bool, by_path: bool) -> None:
    """Convert the first source that answers and verifies into ``final``."""
    scratch = final.with_suffix(".part")  # what was cut short stays here, to be continued
    reasons = []
    for address in _addresses(weights):
        try:
            path = _obtain(address, scratch, progress)
            try:
                digest = _verify(path, weights.sha256)
                write_safetensors(read_state_dict(path), final, {"address": address, "sha256": digest})
                return
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
        except (WeightsError, OSError, HTTPException) as error:
            reasons.append(f"{address} ({one_line(error)})")
    way = "pass it as checkpoint_path, or " if by_path else ""
    raise WeightsError(
        f"no source of {weights.name!r} could be used: {'; '.join(reasons)}; get the file by hand and {way}put it "
        f"into a folder and name that in VIDHUB_MIRROR, or copy {final.name!r} from another machine's cache into "
        f"{str(final.parent)!r}."
    )


def _addresses(weights: Weights) -> Iterator[str]:
    mirror = os.environ.get("VIDHUB_MIRROR", "")
    address = weights.url
    if address.startswith("hf://"):
        repository, file, revision = _hub_address(address)
        address = f"https://huggingface.co/{repository}/resolve/{revision or 'main'}/{file}"
    path = urlsplit(address).path
    if mirror.startswith(("http://", "https://")):
        yield mirror.rstrip("/") + path
    elif mirror:
        file = Path(mirror).expanduser() / unquote(path).lstrip("/")
        yield str(file if file.is_file() else Path(mirror).expanduser() / file.name)
    yield from weights.sources


def _obtain(address: str, scratch: Path, progress: bool) -> Path:
    """A local file with what ``address`` names: in ``scratch`` if it had to be downloaded."""
    if address.startswith("hf://"):
        return _from_hub(address, scratch / _file_name(address), progress)
    if address.startswith(("http://", "https://")):
        _refuse_offline()
        scratch.mkdir(exist_ok=True)
        return _download(address, scratch / _file_name(address), progress)
    if not os.path.isfile(address):
        raise FileNotFoundError("no such file")
    return Path(address)


def _from_hub(address: str, folder: Path, progress: bool) -> Path:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    repository, file, revision = _hub_address(address)
    cached = try_to_load_from_cache(repository, file, revision=revision)
    if isinstance(cached, str):
        return Path(cached)
    _refuse_offline()
    silence = not (progress or are_progress_bars_disabled())
    try:
        if silence:
            disable_progress_bars()
        return Path(hf_hub_download(repository, file, revision=revision, local_dir=folder))
    except Exception as error:  # the client's errors have no common base: they differ with its HTTP library
        raise WeightsError(one_line(error)) from error
    finally:
        if silence:
            enable_progress_bars()


def _download(address: str, part: Path, progress: bool) -> Path:
    """Download into ``part``, going on where an earlier attempt, of this process or another, was cut."""
    part.touch()
    size, failures = part.stat().st_size, 0
    while True:
        try:
            _continue_download(address, part, progress)
            return part
        except (OSError, HTTPException) as error:
            if isinstance(error, HTTPError) and error.code < 500 and error.code not in (408, 429):
                raise
            grown = part.stat().st_size > size
            size, failures = max(size, part.stat().st_size), 0 if grown else failures + 1
            if failures == _ATTEMPTS:
                raise
            time.sleep(_PAUSE * 2 ** max(failures - 1, 0))


def _continue_download(address: str, part: Path, progress: bool) -> None:
    from tqdm.auto import tqdm

    validator = part.with_name(f"{part.name}.etag")  # resuming is safe only while the server's file is the same
    request = Request(address, headers={"User-Agent": "vidhub"})
    start = 0
    if validator.exists() and part.stat().st_size:
        start = part.stat().st_size - 1  # the last byte again, as nothing at all cannot be asked for
        request.headers.update({"Range": f"bytes={start}-", "If-range": validator.read_text()})
    with urlopen(request, timeout=_TIMEOUT) as response, part.open("r+b") as file:
        if response.status != 206:
            start = 0
        validator.unlink(missing_ok=True)
        file.truncate(start)
        file.seek(start)
        if tag := response.headers.get("ETag") or response.headers.get("Last-Modified"):
            validator.write_text(tag)
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        name = PurePosixPath(urlsplit(address).path).name
        with tqdm(desc=name, total=total, initial=start, unit="B", unit_scale=True, disable=not progress) as bar:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
        if total is not None and file.tell() < total:
            raise ConnectionError(f"the connection was cut after {file.tell()} of {total} bytes")


def _verify(path: Path, expected: str) -> str:
    """The SHA-256 of the file in ``path``, which must begin with ``expected``."""
    found = sha256_of(path)
    if not found.startswith(expected.lower()):
        raise WeightsError(f"its SHA-256 should begin with {expected} and is {found}")
    return found


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _read_cached(path: Path, expected: str) -> dict[str, Tensor] | None:
    """The cached tensors, or None if there are none, they are cut short, or came from a file since replaced."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            if not (file.metadata() or {}).get("sha256", "").startswith(expected.lower()):
                return None
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (FileNotFoundError, SafetensorError):
        return None


def offline() -> str | None:
    """The environment variable that switches the network off, if one does."""
    variables = ("VIDHUB_OFFLINE", "HF_HUB_OFFLINE")
    return next((v for v in variables if os.environ.get(v, "").lower() in ("1", "true", "yes", "on")), None)


def _refuse_offline() -> None:
    if variable := offline():
        raise WeightsError(f"the network is switched off by {variable}")


def _hub_address(address: str) -> tuple[str, str, str | None]:
    """``hf://org/repo/path/file@revision`` -> (``org/repo``, ``path/file``, revision or None)."""
    owner, name, rest = address.removeprefix("hf://").split("/", 2)
    file, _, revision = rest.partition("@")
    return f"{owner}/{name}", file, revision or None


def _file_name(address: str) -> str:
    """A name for ``address`` that no other address has, even where the last parts are equal."""
    return f"{hashlib.sha256(address.encode()).hexdigest()[:12]}-{PurePosixPath(urlsplit(address).path).name}"
