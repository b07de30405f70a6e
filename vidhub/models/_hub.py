"""Saving a network with all that is needed to use it again, and sharing it on the Hugging Face Hub."""

from __future__ import annotations

import inspect
import json
import re
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .. import __version__
from .._files import write_whole
from ..errors import InputError, VidhubError, WeightsError
from ..weights.files import one_line, read_state_dict, write_safetensors
from ..weights.resolve import offline, tell_licence
from ..weights.types import Weights, read_config
from ._checkpoint import load_state_dict
from ._index import TASK_OF
from ._registry import entry_point

_CONFIG_FILE, _WEIGHTS_FILE = "config.json", "model.safetensors"
# the Hub's names of tasks, where it has one
_PIPELINES = {"recognition": "video-classification", "audio": "audio-classification"}
# of the identifiers that the Hub takes, those that weights have come under
_HUB_LICENCE = r"apache-2\.0|mit|bsd-[23]-clause|cc0-1\.0|cc-by-(nc-)?(sa-|nd-)?4\.0"


def save_checkpoint(model: nn.Module, folder: str | Path) -> None:
    """Write ``model`` to ``folder``, from where ``create_model("local-dir:folder")`` builds it again.

    ``model.safetensors`` holds the weights; ``config.json`` the constructor's arguments, class names, data
    configuration, and the published weights it was made from with their licence; ``README.md`` is the model card. Each
    file appears whole or not at all.

    Raises:
        InputError: the model is not one of ``create_model``, or its arguments cannot be written as JSON.
    """
    _save(model, Path(folder), f"local-dir:{Path(folder).name}")


def load_local(folder: str | Path, *, checkpoint_path: str | Path | None = None, **kwargs: Any) -> nn.Module:
    """The model that ``save_checkpoint`` wrote to ``folder``; ``create_model("local-dir:folder")`` calls this.

    Args:
        folder: holds ``config.json`` and ``model.safetensors``.
        checkpoint_path: a file whose weights are loaded instead of the saved ones.
        kwargs: constructor arguments that replace the saved ones. A changed ``num_classes`` leaves the classifier new
            and the labels None, with a warning.

    Raises:
        WeightsError: a file is missing or damaged, or the weights are not this network's.
        UnknownNameError, InputError: the saved architecture does not exist, or does not take these arguments.
    """
    folder = Path(folder).expanduser()
    for name in (_CONFIG_FILE, *(() if checkpoint_path else (_WEIGHTS_FILE,))):
        if not (folder / name).is_file():
            raise WeightsError(f"{str(folder)!r} is no saved model: it holds no {name}.")
    return _load(folder / _CONFIG_FILE, Path(checkpoint_path or folder / _WEIGHTS_FILE), kwargs)


def absolute_name(name: str) -> str:
    """A name for ``create_model`` that means the same from every folder."""
    source, _, folder = name.partition(":")
    return f"{source}:{Path(folder).expanduser().resolve()}" if source == "local-dir" else name


def load_from_hub(
    repo_id: str,
    *,
    revision: str | None = None,
    token: str | None = None,
    checkpoint_path: str | Path | None = None,
    **kwargs: Any,
) -> nn.Module:
    """The model in the Hub's repository ``repo_id``; ``create_model("hf-hub:org/name")`` calls this.

    Files come through ``huggingface_hub``, its cache, token and environment variables; offline from its cache alone.

    Args:
        repo_id: ``"org/name"``.
        revision: branch, tag or commit.
        token: access token; None: the one of ``hf auth login``.
        checkpoint_path: as for ``load_local``.
        kwargs: constructor arguments that replace the saved ones, as for ``load_local``.

    Raises:
        WeightsError: the repository or a file of it cannot be had; and what ``load_local`` raises.
    """
    from huggingface_hub import hf_hub_download

    def fetch(name: str) -> str:
        return hf_hub_download(repo_id, name, revision=revision, token=token, local_files_only=bool(offline()))

    try:
        config, weights = fetch(_CONFIG_FILE), checkpoint_path or fetch(_WEIGHTS_FILE)
    except Exception as error:  # the client's errors have no common base: they differ with its HTTP library
        raise WeightsError(f"cannot get {repo_id!r} from the Hub ({one_line(error)}).") from error
    return _load(Path(config), Path(weights), kwargs)


def push_to_hub(
    model: nn.Module, repo_id: str, *, token: str | None = None, private: bool = False, commit_message: str = ""
) -> str:
    """Share ``model`` on the Hugging Face Hub; the repository is created where it does not exist.

    Returns:
        The repository's address.

    Raises:
        InputError: the model cannot be saved, see ``save_checkpoint``.
        VidhubError: the Hub refused, or cannot be reached.
    """
    from huggingface_hub import HfApi

    api = HfApi(token=token, library_name="vidhub", library_version=__version__)
    with tempfile.TemporaryDirectory() as folder:
        _save(model, Path(folder), f"hf-hub:{repo_id}")
        try:
            url = api.create_repo(repo_id, private=private, exist_ok=True)
            message = commit_message or f"Add {model.arch}"
            api.upload_folder(repo_id=url.repo_id, folder_path=folder, commit_message=message)
        except Exception as error:  # as above
            raise VidhubError(f"cannot push to {repo_id!r} ({one_line(error)}).") from error
    return str(url)


def _save(model: nn.Module, folder: Path, address: str) -> None:
    model = getattr(model, "_orig_mod", model)  # of torch.compile
    for name in ("arch", "config", "data_config"):
        if not hasattr(model, name):
            raise InputError(f"only models of create_model can be saved: this {type(model).__name__} has no {name}.")
    if getattr(model, "optimized", False):
        raise InputError("what optimize made cannot be built again: save the network that it was made from.")
    if getattr(model, "reparameterized", False):
        raise InputError("a reparameterized network cannot be loaded again: save it before it is reparameterized.")
    labels = model.labels if model.labels and len(model.labels) == model.num_classes else None
    config = {
        "library": "vidhub",
        "version": __version__,
        "arch": model.arch,
        "kwargs": model.config | ({"num_classes": model.num_classes} if "num_classes" in model.config else {}),
        "num_classes": model.num_classes,
        "labels": labels,
        "data_config": asdict(model.data_config),
        "license": model.weights.license if model.weights else None,
        "weights": asdict(model.weights) if model.weights else None,  # the published ones it was made from
    }
    try:
        text = json.dumps(config, indent=2, ensure_ascii=False)
    except TypeError as error:
        raise InputError(f"the arguments of {model.arch!r} cannot be saved ({one_line(error)}).") from error
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(model.state_dict(), folder / _WEIGHTS_FILE, {"format": "pt"})
    for name, content in (("README.md", _model_card(model, address)), (_CONFIG_FILE, text + "\n")):
        write_whole(folder / name, content)


def _model_card(model: nn.Module, address: str) -> str:
    pipeline = _PIPELINES.get(TASK_OF[model.arch])
    head = ["library_name: vidhub", *([f"pipeline_tag: {pipeline}"] if pipeline else [])]
    head += ["tags:", *([f"- {pipeline}"] if pipeline else []), "- vidhub"]
    body = [
        f"# {address.split(':', 1)[1]}",
        f"`{model.arch}` with {model.num_classes} classes, for {model.data_config.summary}.",
        f'```python\nimport vidhub\n\nmodel = vidhub.create_model("{address}")\n```',
    ]
    if weights := model.weights:
        licence = weights.license.lower().replace(" ", "-")
        known = re.fullmatch(_HUB_LICENCE, licence)
        head.append(f"license: {licence}" if known else f"license: other\nlicense_name: {json.dumps(licence)}")
        parents = [re.match(r"hf://([^/]+/[^/]+)/", source) for source in weights.sources]
        head += [f"base_model: {parent[1]}" for parent in parents if parent][:1]
        body.append(
            f"Made from the published weights `{weights.name}` ({weights.url}), licensed "
            f"{weights.license or 'by their publisher'}{'' if weights.commercial_use else ': no commercial use'}."
        )
    return "\n".join(["---", *head, "---\n\n"]) + "\n\n".join(body) + "\n"


def _load(config_file: Path, weights_file: Path, kwargs: dict[str, Any]) -> nn.Module:
    from ._factory import create_model, fitted

    try:
        config = _tuples(json.loads(config_file.read_text(encoding="utf-8")))
        if config["library"] != "vidhub":
            raise ValueError(f"it is of {config['library']!r}")
        arch, num_classes, labels = config["arch"], config["num_classes"], config["labels"]
        saved = dict(config["kwargs"])
        _check_arguments(arch, saved)
        task, weights = TASK_OF[arch], config["weights"]
        data_config = read_config(task, config["data_config"])
        weights = weights and Weights(**{**weights, "data_config": read_config(task, weights["data_config"])})
    except (KeyError, TypeError, ValueError) as error:
        what = f"it lacks {error}" if isinstance(error, KeyError) else one_line(error)
        raise WeightsError(f"{str(config_file)!r} is not a configuration that vidhub can read: {what}.") from error
    model = create_model(arch, **{**saved, **kwargs})
    changed = model.num_classes != num_classes
    source = None
    if kwargs and hasattr(model, "adapt_state_dict"):
        with torch.device("meta"):
            source = entry_point(arch)(**saved)
    load_state_dict(model, read_state_dict(weights_file), new_classifier="num_classes" in kwargs, source=source)
    model.labels, model.weights = None if changed else labels, weights
    model.data_config = fitted(data_config, num_classes, model, kwargs) if kwargs else data_config
    if weights:
        tell_licence(weights)
    return model


def _check_arguments(arch: str, arguments: dict[str, Any]) -> None:
    """Only what builds a network: no name that ``create_model`` would look for elsewhere, and none of its files."""
    from ._factory import create_model

    entry_point(arch)
    if foreign := arguments.keys() & inspect.signature(create_model).parameters.keys():
        raise ValueError(f"{min(foreign)} is no argument of a network")
    if arguments.keys() & {"trunk", "trunk_args"}:
        _check_arguments(arguments.get("trunk", arch), dict(arguments.get("trunk_args") or {}))


def _tuples(value: Any) -> Any:
    """What JSON made of tuples, as tuples again."""
    if isinstance(value, list):
        return tuple(_tuples(v) for v in value)
    return {k: _tuples(v) for k, v in value.items()} if isinstance(value, dict) else value
