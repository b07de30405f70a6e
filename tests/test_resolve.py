"""Checkpoints are found, downloaded, verified, cached and read safely: against a server on the loopback address."""

import collections
import hashlib
import io
import logging
import os
import pickle
import re
import shutil
import subprocess
import sys
import tarfile
import textwrap
import time
import types
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from servers import FileServer

from vidhub.errors import WeightsError
from vidhub.models import _factory
from vidhub.weights import resolve
from vidhub.weights.resolve import cache_path, fetch_state_dict, read_state_dict
from vidhub.weights.types import DataConfig, Weights

STATE = {"conv.weight": torch.arange(60_000.0).reshape(100, 600), "bn.num_batches_tracked": torch.tensor(7)}
REFUSED = "http://127.0.0.1:9"  # nobody listens there


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("VIDHUB_CACHE", str(folder))
    monkeypatch.setattr(resolve, "_PAUSE", 0.001)
    return folder


@pytest.fixture
def server():
    with FileServer({"/models/net.pth": saved(STATE)}) as server:
        yield server


def saved(content, **kwargs) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **kwargs)
    return buffer.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def weights(url, **kwargs) -> Weights:
    return Weights(url, "net", "tag", 7, DataConfig(8), 60_000, **kwargs)


def assert_same(state, expected=STATE):
    assert state.keys() == expected.keys()
    for key, value in expected.items():
        assert state[key].dtype == value.dtype
        assert torch.equal(state[key], value)


def left_over(cache: Path) -> list[str]:
    return [p.name for p in cache.iterdir() if p.suffix not in (".safetensors", ".lock")]


# downloading


def test_download_then_cache(server, cache, capfd, monkeypatch):
    entry = weights(server.address + "/models/net.pth", sha256=sha256(server.files["/models/net.pth"]))
    assert_same(fetch_state_dict(entry))
    bar = capfd.readouterr().err
    assert "net.pth" in bar
    assert "100%" in bar
    assert cache_path(entry).is_file()
    assert left_over(cache) == []

    requests = len(server.requests)
    assert_same(fetch_state_dict(entry))
    monkeypatch.setenv("VIDHUB_OFFLINE", "1")
    assert_same(fetch_state_dict(entry))
    assert len(server.requests) == requests == 1
    assert capfd.readouterr().err == ""


def test_no_bar_when_not_wanted(server, capfd):
    fetch_state_dict(weights(server.address + "/models/net.pth"), progress=False)
    assert capfd.readouterr().err == ""


def test_sha256_prefix_is_enough(server):
    digest = sha256(server.files["/models/net.pth"])
    assert_same(fetch_state_dict(weights(server.address + "/models/net.pth", sha256=digest[:8].upper())))


def test_resume_after_cut_connection(server):
    size = len(server.files["/models/net.pth"])
    server.cut_after, server.cuts = 150_000, 1
    assert_same(fetch_state_dict(weights(server.address + "/models/net.pth"), progress=False))
    (first, second) = [asked for _, _, asked in server.requests]
    assert first is None
    assert int(second[len("bytes=") : -1]) > 150_000 - 2 * resolve._CHUNK
    assert server.sent < size + 2 * resolve._CHUNK


def test_resume_in_another_process(server, cache):
    """A download that was given up is continued by the next call, after however long."""
    size = len(server.files["/models/net.pth"])
    entry = weights(server.address + "/models/net.pth", sha256=sha256(server.files["/models/net.pth"]))
    server.cut_after, server.cuts = 150_000, 1
    code = f"""
        from vidhub.weights import resolve
        from vidhub.weights.types import DataConfig, Weights
        resolve._ATTEMPTS = 0
        resolve.fetch_state_dict(Weights({entry.url!r}, "net", "tag", 7, DataConfig(8), 1, sha256={entry.sha256!r}))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert "the connection was cut after 1" in done.stderr
    assert len(left_over(cache)) == 1
    assert_same(fetch_state_dict(entry, progress=False))
    assert server.sent < size + 2 * resolve._CHUNK
    assert left_over(cache) == []


def test_many_cuts_are_survived_while_bytes_arrive(server):
    server.cut_after = 20_000
    assert_same(fetch_state_dict(weights(server.address + "/models/net.pth"), progress=False))
    assert len(server.requests) > 2 * resolve._ATTEMPTS


def test_server_without_range_restarts(server):
    server.ranges, server.cut_after, server.cuts = False, 150_000, 2
    assert_same(fetch_state_dict(weights(server.address + "/models/net.pth"), progress=False))
    assert len(server.requests) == 3


def test_server_that_always_cuts_is_given_up(server):
    server.ranges, server.cut_after = False, 150_000
    with pytest.raises(WeightsError, match="cut after 150000 of"):
        fetch_state_dict(weights(server.address + "/models/net.pth"), progress=False)
    assert len(server.requests) <= resolve._ATTEMPTS + 2


def test_file_replaced_between_attempts_is_not_mixed(server):
    entry = weights(server.address + "/models/net.pth")
    server.ranges, server.cut_after = False, 150_000
    with pytest.raises(WeightsError):
        fetch_state_dict(entry, progress=False)
    other = {key: value + 1 for key, value in STATE.items()}
    server.files["/models/net.pth"] = saved(other)
    server.ranges, server.cut_after = True, None
    assert_same(fetch_state_dict(entry, progress=False), other)
    assert server.requests[-1][2] is not None  # it did ask for the rest


def test_complete_part_is_used(server, cache):
    """A process may be killed after the last byte; the next one need not download again."""
    size = len(server.files["/models/net.pth"])
    entry = weights(server.address + "/models/net.pth")
    scratch = cache_path(entry).with_suffix(".part")
    scratch.mkdir(parents=True)
    resolve._download(entry.url, scratch / resolve._file_name(entry.url), progress=False)
    assert_same(fetch_state_dict(entry, progress=False))
    assert server.sent == size + 1


def test_wrong_content_is_refused_and_removed(server, cache):
    entry = weights(server.address + "/models/net.pth", sha256="0123abcd")
    found = sha256(server.files["/models/net.pth"])
    with pytest.raises(WeightsError, match=f"should begin with 0123abcd and is {found}"):
        fetch_state_dict(entry, progress=False)
    assert left_over(cache) == []
    assert not cache_path(entry).exists()


def test_server_errors(server):
    with pytest.raises(WeightsError, match=r"missing\.pth \(HTTP Error 404: Not Found\)"):
        fetch_state_dict(weights(server.address + "/missing.pth"))
    assert len(server.requests) == 1  # asking again would not help
    server.status = 503
    with pytest.raises(WeightsError, match="503"):
        fetch_state_dict(weights(server.address + "/models/net.pth"))
    assert len(server.requests) == 1 + resolve._ATTEMPTS


def test_slow_server_times_out(server, monkeypatch):
    monkeypatch.setattr(resolve, "_TIMEOUT", 0.05)
    monkeypatch.setattr(resolve, "_ATTEMPTS", 1)
    server.delay = 0.5
    with pytest.raises(WeightsError, match="timed out"):
        fetch_state_dict(weights(server.address + "/models/net.pth"))


def test_two_processes_download_once(server, tmp_path):
    server.delay = 0.3
    code = f"""
        import pathlib, sys, time
        from vidhub.weights.resolve import fetch_state_dict
        from vidhub.weights.types import DataConfig, Weights
        ready, go = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
        ready.touch()
        while not go.exists():
            time.sleep(0.005)
        weights = Weights({server.address + "/models/net.pth"!r}, "net", "tag", 7, DataConfig(8), 60_000)
        print(fetch_state_dict(weights, progress=False)["conv.weight"].sum().item())
    """
    command, go = [sys.executable, "-c", textwrap.dedent(code)], tmp_path / "go"
    ready = [tmp_path / f"ready{i}" for i in range(2)]
    both = [subprocess.Popen([*command, r, go], stdout=subprocess.PIPE, text=True) for r in ready]
    deadline = time.monotonic() + 50
    while not all(r.exists() for r in ready) and time.monotonic() < deadline:
        time.sleep(0.01)
    go.touch()
    assert {process.communicate()[0].strip() for process in both} == {str(STATE["conv.weight"].sum().item())}
    assert len(server.requests) == 1


# sources and cache


def test_equal_file_names_do_not_meet(server):
    other = {"conv.weight": torch.ones(3)}
    server.files["/others/net.pth"] = saved(other)
    assert_same(fetch_state_dict(weights(server.address + "/models/net.pth"), progress=False))
    assert_same(fetch_state_dict(weights(server.address + "/others/net.pth"), progress=False), other)


def test_next_source_after_a_dead_one(server):
    entry = weights(server.address + "/models/net.pth", mirrors=(REFUSED + "/net.pth", server.address + "/gone.pth"))
    assert_same(fetch_state_dict(entry, progress=False))


def test_every_source_down(server, monkeypatch, tmp_path):
    monkeypatch.setenv("VIDHUB_MIRROR", str(tmp_path / "nothing"))
    entry = weights(REFUSED + "/net.pth", mirrors=(server.address + "/gone.pth",))
    with pytest.raises(WeightsError) as raised:
        fetch_state_dict(entry)
    message = str(raised.value)
    assert f"{tmp_path / 'nothing' / 'net.pth'} (no such file)" in message
    assert "/gone.pth (HTTP Error 404: Not Found)" in message
    assert f"{REFUSED}/net.pth (" in message
    assert "Connection refused" in message
    for remedy in ("checkpoint_path", "VIDHUB_MIRROR", str(cache_path(entry).parent), cache_path(entry).name):
        assert remedy in message
    assert "\n" not in message


def test_mirror_by_address(server, monkeypatch):
    monkeypatch.setenv("VIDHUB_MIRROR", server.address)
    entry = weights("https://download.invalid/models/net.pth")
    assert_same(fetch_state_dict(entry, progress=False))
    monkeypatch.delenv("VIDHUB_MIRROR")
    assert_same(fetch_state_dict(entry))  # cached under the published address


@pytest.mark.parametrize("place", ["models/net.pth", "net.pth"])
def test_mirror_folder(tmp_path, monkeypatch, place):
    file = tmp_path / "mirror" / place
    file.parent.mkdir(parents=True)
    file.write_bytes(saved(STATE))
    monkeypatch.setenv("VIDHUB_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("VIDHUB_OFFLINE", "1")
    entry = weights("https://download.invalid/models/net.pth", sha256=sha256(file.read_bytes()))
    assert_same(fetch_state_dict(entry))
    assert file.exists()


@pytest.mark.parametrize("variable", ["VIDHUB_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_and_nothing_cached(server, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    entry = weights(server.address + "/models/net.pth", mirrors=("hf://org/repo/net.pth",))
    with pytest.raises(WeightsError, match=f"switched off by {variable}"):
        fetch_state_dict(entry)
    assert server.requests == []


def test_explicit_file(tmp_path):
    (tmp_path / "mine.pth").write_bytes(saved(STATE))
    entry = weights(REFUSED + "/net.pth", sha256="0123abcd")
    assert_same(fetch_state_dict(entry, checkpoint=tmp_path / "mine.pth"))


def test_file_inside_the_wheel(tmp_path, monkeypatch):
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "tiny.pth").write_bytes(saved(STATE))
    monkeypatch.setattr("importlib.resources.files", lambda package: tmp_path)
    assert_same(fetch_state_dict(weights("package:assets/tiny.pth")))


@pytest.mark.parametrize("damage", [lambda old: old[:-100], lambda old: b"", lambda old: b"{}" * 500])
def test_damaged_cache_is_downloaded_again(server, damage):
    entry = weights(server.address + "/models/net.pth")
    fetch_state_dict(entry, progress=False)
    cache_path(entry).write_bytes(damage(cache_path(entry).read_bytes()))
    assert_same(fetch_state_dict(entry, progress=False))
    assert len(server.requests) == 2


def test_cache_of_a_replaced_publication_is_not_used(server):
    address = server.address + "/models/net.pth"
    fetch_state_dict(weights(address), progress=False)
    other = {"conv.weight": torch.ones(3)}
    server.files["/models/net.pth"] = saved(other)
    assert_same(fetch_state_dict(weights(address, sha256=sha256(saved(other))), progress=False), other)


def test_unusable_cache_folder(server, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("VIDHUB_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(WeightsError, match="set VIDHUB_CACHE"):
        fetch_state_dict(weights(server.address + "/models/net.pth"))


def test_shared_and_strided_tensors_survive_the_cache(server):
    base = torch.arange(12.0).reshape(3, 4)
    state = {"a": base, "b": base, "c": base[1:], "d": base.T, "e": base.half(), "f": torch.empty(0), "g": base > 3}
    server.files["/models/net.pth"] = saved(state)
    assert_same(fetch_state_dict(weights(server.address + "/models/net.pth"), progress=False), state)
    assert_same(fetch_state_dict(weights(server.address + "/models/net.pth")), state)


def test_from_the_hugging_face_hub(hub, cache):
    hub.repos["org/weights"] = {"sub/net.pth": saved(STATE)}
    entry = weights("hf://org/weights/sub/net.pth@main", sha256=sha256(saved(STATE)))
    assert_same(fetch_state_dict(entry, progress=False))
    assert left_over(cache) == []
    requests = len(hub.requests)
    assert_same(fetch_state_dict(entry))
    assert len(hub.requests) == requests
    with pytest.raises(WeightsError, match=r"hf://org/weights/none.pth \(404"):
        fetch_state_dict(weights("hf://org/weights/none.pth"))


def test_the_hub_clients_own_cache_is_used(hub, monkeypatch):
    from huggingface_hub import hf_hub_download

    hub.repos["org/shared"] = {"net.pth": saved(STATE)}
    file = Path(hf_hub_download("org/shared", "net.pth"))
    monkeypatch.setenv("VIDHUB_OFFLINE", "1")
    assert_same(fetch_state_dict(weights("hf://org/shared/net.pth")))
    assert file.exists()


def test_licence_is_told_once(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(resolve, "_told", set())
    (tmp_path / "mine.pth").write_bytes(saved(STATE))
    entry = weights(REFUSED, license="CC-BY-NC-4.0", commercial_use=False)
    with caplog.at_level(logging.WARNING, "vidhub"):
        for _ in range(2):
            fetch_state_dict(entry, checkpoint=tmp_path / "mine.pth")
    assert caplog.messages == ["the weights net.tag are licensed CC-BY-NC-4.0: no commercial use."]


# reading


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state", "model", "module"])
def test_wrapped_and_prefixed(tmp_path, wrapper):
    content = {wrapper: {f"module.{k}": v for k, v in STATE.items()}, "epoch": 3, "optimizer": {"lr": torch.ones(1)}}
    (tmp_path / "net.pyth").write_bytes(saved(content))
    assert_same(read_state_dict(tmp_path / "net.pyth"))


def test_legacy_format(tmp_path):
    content = {"model": {**STATE, "note": "no tensor"}}
    (tmp_path / "net.pth.tar").write_bytes(saved(content, _use_new_zipfile_serialization=False))
    assert_same(read_state_dict(str(tmp_path / "net.pth.tar")))


def test_safetensors_by_content_not_suffix(tmp_path):
    from safetensors.torch import save_file

    save_file(STATE, tmp_path / "net.bin")
    assert_same(read_state_dict(tmp_path / "net.bin"))


@pytest.fixture
def mmengine(monkeypatch):
    """As much of mmengine as saving a checkpoint needs; gone again before it is read."""
    with monkeypatch.context() as patch:
        for name in ("mmengine", "mmengine.logging", "mmengine.logging.history_buffer", "mmengine.config.config"):
            patch.setitem(sys.modules, name, types.ModuleType(name))
        buffers, config = sys.modules["mmengine.logging.history_buffer"], sys.modules["mmengine.config.config"]

        class HistoryBuffer:
            def __init__(self):
                self._log_history = np.array([0.5, 0.25])
                self._count_history = np.array([1, 1])
                self._statistics_methods = {"mean": HistoryBuffer.mean, "current": buffers.HistoryBuffer.mean}

            def mean(self):
                pass

        class ConfigDict(dict):
            pass

        for module, cls in ((buffers, HistoryBuffer), (config, ConfigDict)):
            cls.__module__, cls.__qualname__ = module.__name__, cls.__name__
            setattr(module, cls.__name__, cls)
        HistoryBuffer.mean.__module__, HistoryBuffer.mean.__qualname__ = buffers.__name__, "HistoryBuffer.mean"
        yield types.SimpleNamespace(HistoryBuffer=HistoryBuffer, ConfigDict=ConfigDict)


@pytest.fixture
def mmaction2_file(mmengine, tmp_path):
    counts = collections.defaultdict(int)
    counts["a"] = 1
    content = {
        "meta": {"cfg": "model = dict()", "epoch": np.int64(3), "config": mmengine.ConfigDict(a=1), "counts": counts},
        "message_hub": {
            "log_scalars": collections.OrderedDict({"train/loss": mmengine.HistoryBuffer()}),
            "runtime_info": collections.OrderedDict(best=np.float32(0.5), seen=np.arange(3), where=Path("work")),
        },
        "state_dict": collections.OrderedDict(STATE),
    }
    path = tmp_path / "mmaction2.pth"
    path.write_bytes(saved(content))
    return path


def test_mmaction2_file_with_its_training_log(mmaction2_file, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("mmengine")]:
        monkeypatch.delitem(sys.modules, name)
    allowed = set(torch.serialization.get_safe_globals())
    assert_same(read_state_dict(mmaction2_file))
    assert set(torch.serialization.get_safe_globals()) == allowed


@pytest.mark.parametrize("core", [b"_core", b"core"])
def test_mmaction2_file_of_either_numpy(mmaction2_file, tmp_path, core):
    with zipfile.ZipFile(mmaction2_file) as source, zipfile.ZipFile(tmp_path / "other.pth", "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("/data.pkl"):
                content, count = re.subn(rb"(?<=cnumpy\.)_?core(?=\.)", core, content)
                assert count
            target.writestr(name, content)
    assert_same(read_state_dict(tmp_path / "other.pth"))


class Payload:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("function", "name"),
    [(os.system, r"\w+\.system"), (eval, r"(builtins\.)?eval"), (shutil.rmtree, r"shutil\.rmtree")],
)
def test_malicious_pickle_is_refused(tmp_path, function, name, zipped):
    mark = tmp_path / "mark"
    mark.mkdir()
    argument = {"system": f"rmdir {mark}", "eval": f"__import__('os').rmdir({str(mark)!r})"}.get(
        function.__name__, mark
    )
    content = {"state_dict": STATE, "meta": Payload(function, str(argument))}
    (tmp_path / "bad.pth").write_bytes(saved(content, _use_new_zipfile_serialization=zipped))
    with pytest.raises(WeightsError, match=f"asks for {name}, and only tensors"):
        read_state_dict(tmp_path / "bad.pth")
    assert mark.exists()


def test_stand_ins_do_not_reach_real_functions(tmp_path):
    """``getattr`` is allowed by name only: a chain from it to something that runs stops at the stand-in."""
    mark = tmp_path / "mark"
    mark.mkdir()

    (tmp_path / "bad.pth").write_bytes(saved({"state_dict": STATE, "meta": Payload(getattr, Path(mark), "rmdir")}))
    assert_same(read_state_dict(tmp_path / "bad.pth"))
    assert mark.exists()


def test_malicious_download_is_refused_and_removed(server, cache, tmp_path):
    (tmp_path / "mark").mkdir()
    server.files["/models/net.pth"] = saved({"a": Payload(os.rmdir, str(tmp_path / "mark"))})
    with pytest.raises(WeightsError, match=r"asks for \w+\.rmdir"):
        fetch_state_dict(weights(server.address + "/models/net.pth"), progress=False)
    assert (tmp_path / "mark").exists()
    assert left_over(cache) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html></html>", "is a web page"),
        (b"\n<html>", "is a web page"),
        (bytes(range(255, 155, -1)) * 10, "is damaged"),
        (saved(STATE)[:-1000], "is damaged"),
        (saved(STATE, _use_new_zipfile_serialization=False)[:-1000], "is damaged"),
        (pickle.dumps({"a": 1}), "is damaged"),
        ((100).to_bytes(8, "little") + b'{"a": 1', "is damaged"),
        (saved({"epoch": 3}), "holds no tensors"),
        (saved([1, 2]), "holds no tensors"),
    ],
)
def test_files_that_are_no_checkpoint(tmp_path, content, reason):
    (tmp_path / "net.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=reason) as raised:
        read_state_dict(tmp_path / "net.pth")
    assert "\n" not in str(raised.value)
    assert "weights_only" not in str(raised.value)


def test_tar_is_refused(tmp_path):
    (tmp_path / "pickle").write_bytes(b"")
    with tarfile.open(tmp_path / "net.pth", "w") as archive:
        archive.add(tmp_path / "pickle", "pickle")
    with pytest.raises(WeightsError, match="is a tar file"):
        read_state_dict(tmp_path / "net.pth")


def test_torchscript_is_refused(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "net.pt")
    with pytest.raises(WeightsError, match="TorchScript archive"):
        read_state_dict(tmp_path / "net.pt")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no checkpoint file"):
        read_state_dict(tmp_path / "none.pth")


def test_a_checkpoint_is_known_by_its_contents(monkeypatch, tmp_path):
    path = tmp_path / "renamed.pth"
    path.write_bytes(b"some weights")
    other = replace(weights("https://a.b/other.pth", sha256=sha256(b"some weights")[:8]), tag="other")
    first = weights("https://a.b/net.pth")
    monkeypatch.setattr(_factory, "WEIGHTS", {"net.tag": first, "net.other": other})
    assert _factory._weights_of("net", "", path) == (other, True)
    path.write_bytes(b"other weights")
    assert _factory._weights_of("net", "", path) == (first, False)
