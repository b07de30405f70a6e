"""Checkpoint files: read without running their pickle, written as safetensors."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tarfile
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from urllib.error import URLError

import torch
from torch import Tensor

from ..errors import VidhubError, WeightsError, in_one_line


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The tensors in a checkpoint file, on the CPU, whatever its suffix.

    Reads safetensors, and ``torch.save`` files of any age with ``weights_only=True``. Descends into "state_dict",
    "model_state", "model" and "module", drops "_orig_mod." (of ``torch.compile``) and the prefix "module." of keys, and
    everything that is not a tensor.

    Raises:
        FileNotFoundError: there is no such file.
        WeightsError: the file is damaged, is no checkpoint, or its pickle asks for more than tensors and plain data.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint file {str(path)!r}.")
    head = b""
    try:
        with path.open("rb") as file:
            head = file.read(9)
        if head[8:] == b"{":  # safetensors: eight bytes of length, then JSON
            from safetensors.torch import load_file

            content = load_file(path)
        elif refused := _holds_code(path):
            raise WeightsError(f"{str(path)!r} {refused}: only files of plain tensors are read.")
        else:
            with _stand_ins():
                content = torch.load(path, map_location="cpu", weights_only=True, mmap=head.startswith(b"PK"))
    except WeightsError:
        raise
    except Exception as error:  # damaged files raise nearly anything
        raise WeightsError(f"{str(path)!r} {_unreadable(head, error)}.") from error
    state = _tensors(content)
    if not state:
        raise WeightsError(f"{str(path)!r} holds no tensors where a checkpoint has them.")
    return state


def write_safetensors(state: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write ``state`` to ``path``, which appears whole or not at all. Tensors that share memory are written apart.

    Raises:
        VidhubError: the file cannot be written, as on a full disk.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    storages, apart = set(), {}
    for key, tensor in state.items():
        storage = tensor.untyped_storage().data_ptr()
        apart[key] = tensor.detach().cpu().contiguous()
        if storage in storages:
            apart[key] = apart[key].clone()
        storages.add(storage)
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        save_file(apart, draft, metadata)
        os.replace(draft, path)
    except (SafetensorError, OSError) as error:
        raise VidhubError(f"cannot write {str(path)!r} ({in_one_line(error)}).") from error
    finally:
        draft.unlink(missing_ok=True)


class _Opaque:
    """Takes any arguments and state, and does nothing with them."""

    def __new__(cls, *args, **kwargs):
        return super().__new__(cls)

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        pass


class _Mapping:
    """Becomes an empty dictionary: items may be set on it, as for the classes it stands for."""

    def __new__(cls, *args, **kwargs):
        return OrderedDict()


def _stand_in(full_name: str, base: type) -> type:
    # torch looks stand-ins up by module and name: classes that say so work in every version, renamed ones since 2.6
    module, name = full_name.rsplit(".", 1)
    return type(name, (base,), {"__module__": module})


# What MMAction2, PySlowFast and others save beside the weights. The real classes and functions are never imported.
_OPAQUE = """
    _codecs.encode argparse.Namespace builtins.dict builtins.float builtins.getattr builtins.int builtins.list
    datetime.datetime datetime.timedelta mmcv.utils.config.Config mmengine.config.config.Config
    mmengine.logging.history_buffer.HistoryBuffer numpy.dtype numpy.float32 numpy.float64 numpy.int64 numpy.ndarray
    numpy.core.multiarray._reconstruct numpy.core.multiarray.scalar
    numpy._core.multiarray._reconstruct numpy._core.multiarray.scalar
    pathlib.Path pathlib.PosixPath pathlib.WindowsPath
    pathlib._local.Path pathlib._local.PosixPath pathlib._local.WindowsPath
"""
_MAPPINGS = """
    addict.addict.Dict collections.defaultdict fvcore.common.config.CfgNode mmcv.utils.config.ConfigDict
    mmengine.config.config.ConfigDict yacs.config.CfgNode
"""
_STAND_INS = [_stand_in(n, _Opaque) for n in _OPAQUE.split()] + [_stand_in(n, _Mapping) for n in _MAPPINGS.split()]
_STAND_INS_LOCK = threading.Lock()  # torch's list is one for the whole process


@contextlib.contextmanager
def _stand_ins() -> Iterator[None]:
    """Within, torch.load knows the stand-ins, and nothing that the process has allowed elsewhere."""
    from torch.serialization import add_safe_globals, clear_safe_globals, get_safe_globals

    with _STAND_INS_LOCK:
        others = list(get_safe_globals())
        clear_safe_globals()
        add_safe_globals(list(_STAND_INS))
        try:
            yield
        finally:
            clear_safe_globals()
            add_safe_globals(others)


def _holds_code(path: Path) -> str | None:
    """Why a file is not to be opened: torch before 2.6 runs what is in these in spite of ``weights_only=True``."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(name.endswith("/constants.pkl") for name in archive.namelist()):
                return "is a TorchScript archive, which holds code"
    elif tarfile.is_tarfile(path):
        return "is a tar file, as the oldest versions of torch.save made them, whose pickle could run code"
    return None


def _tensors(content: object) -> dict[str, Tensor]:
    for _ in range(3):
        if isinstance(content, dict):
            wrapped = (content.get(key) for key in ("state_dict", "model_state", "model", "module"))
            content = next((inner for inner in wrapped if isinstance(inner, dict)), content)
    items = content.items() if isinstance(content, dict) else ()
    return {
        key.replace("_orig_mod.", "").removeprefix("module."): value.detach()
        for key, value in items
        if isinstance(key, str) and isinstance(value, Tensor)
    }


def weights_digest(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of the names and values of a network's tensors, by which the same weights are known again."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _unreadable(head: bytes, error: Exception) -> str:
    if isinstance(error, OSError):
        return f"cannot be read ({one_line(error)})"
    if not head:
        return "is empty"
    if head.lstrip().startswith(b"<"):
        return "is a web page and no checkpoint"
    if refused := re.search(r"GLOBAL (\S+)", str(error)):
        return f"is not loaded: its pickle asks for {refused[1]}, and only tensors and plain data are read"
    if isinstance(error, UnpicklingError):  # torch's text would advise to run the pickle
        return "is damaged or not made by torch.save"
    return f"is damaged or no checkpoint ({one_line(error)})"


def one_line(error: BaseException) -> str:
    """What ``error`` says, without its further lines and full stop."""
    cause = error.reason if type(error) is URLError else error
    return (str(cause) or type(cause).__name__).strip().split("\n")[0].rstrip(".")
