"""Training runs on small rendered videos: what they leave, and that nothing but the recipe decides the result."""

import csv
import json
import os
import pickle
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from clips import fill
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import Dataset

import vidhub
from vidhub.datasets.dataset import VideoDataset
from vidhub.engine.checkpoints import list_states
from vidhub.engine.optim import create_schedule
from vidhub.engine.prepare import open_training_set
from vidhub.engine.recipe import Recipe
from vidhub.engine.train import Run, _Progress
from vidhub.errors import InputError, UnknownNameError, VidhubError, WeightsError
from vidhub.weights.files import write_safetensors

TINY = {
    "model": "x3d_xs",
    "model_args": {"depth": 0.5, "dropout": 0.5},
    "num_frames": 2,
    "stride": 2,
    "size": 32,
    "batch_size": 4,
    "epochs": 2,
    "workers": 0,
    "device": "cpu",
    "tensorboard": False,
    "ema_decay": 0.9,
    "mixup": 0.2,
    "cutmix": 1.0,
    "log_every": 1,
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stripes")
    fill(folder / "train", 6)
    fill(folder / "val", 2, first=100)
    return folder


def train(root, out, **settings):
    return vidhub.train(root=str(root), out=str(out), **{**TINY, **settings})


def weights(folder):
    return load_file(folder / "model.safetensors")


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def close(a, b, tolerance=1e-5):
    return a.keys() == b.keys() and all(torch.allclose(a[k], b[k], atol=tolerance, rtol=1e-4) for k in a)


def command(root, out, *more):
    settings = [f"{k}={json.dumps(v)}" for k, v in {**TINY, "root": str(root), "out": str(out)}.items()]
    return [sys.executable, "-m", "vidhub", "train", "--set", *settings, *more]


# ------------------------------------------------------------------------------------------------- what a run leaves


@pytest.fixture(scope="module")
def run(root, tmp_path_factory):
    return train(root, tmp_path_factory.mktemp("run"), tensorboard=True)


def test_run_files(run):
    names = {path.name for path in run.folder.iterdir()}
    assert {"model.safetensors", "config.json", "README.md", "last", "recipe.yaml", "log.csv", "report.html"} <= names
    assert not list(run.folder.rglob("*tmp*"))
    rows = list(csv.DictReader((run.folder / "log.csv").open()))
    losses = [float(row["loss"]) for row in rows if row["loss"]]
    assert len(losses) == 6
    assert [row["epoch"] for row in rows if row["val_top1"]] == ["1.0", "2.0"]
    assert list((run.folder / "tensorboard").glob("events*"))
    assert "<html" in (run.folder / "report.html").read_text()


def test_run_result(run):
    assert set(run.metrics) == {"top1", "top5", "mean_class", "loss"}
    assert run.best["top1"] >= run.metrics["top1"]
    assert len(list_states(run.folder / "checkpoints")) == 2


@pytest.mark.parametrize("folder", ["", "last"])
def test_saved_networks_predict(run, root, folder):
    model = vidhub.create_model(f"local-dir:{run.folder / folder}")
    assert model.labels == ("moving", "still")
    assert model.data_config.num_frames == 2
    prediction = vidhub.predict(model, root / "val" / "still" / "100.mp4")
    assert sorted(prediction.labels) == ["moving", "still"]


def test_the_recipe_beside_a_run_repeats_it(run, tmp_path):
    again = vidhub.train(run.folder / "recipe.yaml", out=str(tmp_path))
    assert same(weights(again.folder / "last"), weights(run.folder / "last"))


def test_training_lowers_the_loss(root, tmp_path):
    settings = {"mixup": 0.0, "cutmix": 0.0, "ema_decay": 0.0, "augment": {"area": [0.8, 1.0]}, "num_frames": 4}
    settings |= {"epochs": 14, "batch_size": 12, "model_args": {"depth": 0.5, "dropout": 0.0}, "save_every": 99}
    losses = [row["loss"] for row in train(root, tmp_path, val_split="", **settings).history]
    assert sum(losses[-3:]) < 0.5 * sum(losses[:3])


# ------------------------------------------------------------------------------------------------- killed and resumed


def test_killed_at_any_moment_and_resumed_ends_alike(root, run, tmp_path):
    """``kill -9`` again and again, each time a little later, until a run comes through."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    slow = ["save_every=1"]
    kills = 0
    for patience in (1, 3, 5, 6, 8, 10, 12, 15, 300):
        process = subprocess.Popen(command(root, tmp_path, *slow, "--resume"), env=environment, stderr=subprocess.PIPE)
        deadline = time.monotonic() + patience
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
    assert process.returncode == 0, process.stderr.read().decode()
    assert kills > 0
    assert same(weights(tmp_path / "last"), weights(run.folder / "last"))
    assert same(weights(tmp_path), weights(run.folder))


@pytest.mark.parametrize("step", [1, 3, 4])
def test_stopped_after_any_step_and_resumed_ends_alike(root, run, tmp_path, monkeypatch, step):
    original = Run.step

    def stop(self):
        if self.state.step == step:
            raise KeyboardInterrupt
        original(self)

    monkeypatch.setattr(Run, "step", stop)
    with pytest.raises(KeyboardInterrupt):
        train(root, tmp_path, save_every=1, tensorboard=True)
    monkeypatch.undo()
    again = train(root, tmp_path, save_every=1, tensorboard=True, resume=True)
    assert same(weights(again.folder / "last"), weights(run.folder / "last"))
    same_rows = [{k: v for k, v in row.items() if k not in ("clips_per_second", "waiting")} for row in again.history]
    assert same_rows == [
        {k: v for k, v in row.items() if k not in ("clips_per_second", "waiting")} for row in run.history
    ]


def test_a_resumed_run_logs_the_losses_of_before(root, tmp_path, monkeypatch):
    whole = train(root, tmp_path / "whole", epochs=1, log_every=3)
    original = Run.step

    def stop(self):
        if self.state.step == 2:
            raise KeyboardInterrupt
        original(self)

    monkeypatch.setattr(Run, "step", stop)
    with pytest.raises(KeyboardInterrupt):
        train(root, tmp_path / "parts", epochs=1, log_every=3, save_every=1)
    monkeypatch.undo()
    parts = train(root, tmp_path / "parts", epochs=1, log_every=3, save_every=1, resume=True)
    assert [row["loss"] for row in parts.history if "loss" in row] == [whole.history[0]["loss"]]


def test_a_finished_run_resumed_changes_nothing(root, run, tmp_path):
    first = train(root, tmp_path)
    before = weights(tmp_path / "last")
    again = train(root, tmp_path, resume=True)
    assert same(weights(tmp_path / "last"), before)
    assert again.metrics == first.metrics


def test_an_old_run_is_not_overwritten(root, tmp_path):
    train(root, tmp_path, epochs=1)
    with pytest.raises(InputError, match="holds a run already"):
        train(root, tmp_path, epochs=1)
    with pytest.raises(InputError, match=r"another epochs \(1, now 3\)"):
        train(root, tmp_path, epochs=3, resume=True)


def test_a_damaged_checkpoint_is_told(root, tmp_path):
    train(root, tmp_path, epochs=1)
    newest = list_states(tmp_path / "checkpoints")[-1]
    (newest / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="cannot resume"):
        train(root, tmp_path, epochs=1, resume=True)


def test_tuples_and_paths_inside_tables_are_resumed(tmp_path):
    tables = {"optimizer_args": {"betas": (0.9, 0.95)}, "dataset_args": {"file": tmp_path / "list.txt"}}
    fall(tmp_path, **tables)
    assert fall(tmp_path, **tables, resume=True).history


def test_another_number_of_samples_or_processes_is_told(tmp_path, monkeypatch):
    fall(tmp_path / "new", samples=2)
    for samples in (1, 3):
        with pytest.raises(InputError, match=rf"another training set size \(2, now {samples}\): take what it had"):
            fall(tmp_path / "new", samples=samples, resume=True)
    original = _Progress.state_dict
    for name, sizes in {"two": {"number of processes": 2}, "old": {}}.items():  # older runs did not write them down
        monkeypatch.setattr(_Progress, "state_dict", lambda self, sizes=sizes: {**original(self), "sizes": sizes})
        fall(tmp_path / name)
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"another number of processes \(2, now 1\)"):
        fall(tmp_path / "two", resume=True)
    assert fall(tmp_path / "old", resume=True).history


# ------------------------------------------------------------------------------------------------- several processes


@pytest.mark.parametrize(("batch_size", "accumulate"), [(2, 1), (1, 2)])
def test_two_processes_end_as_one_with_twice_the_batch(root, tmp_path, batch_size, accumulate):
    """But for dropout, and with batch norms that see all processes (or are frozen, where gradients are summed up)."""
    plain = ["model_args={depth: 0.5, dropout: 0.0}", "lr=1e-4", "optimizer=momentum", "size=64"]
    norms = ["sync_bn=true"] if accumulate == 1 else ["freeze_bn=true"]
    port = str(20000 + os.getpid() % 20000 + batch_size)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", port]
    # without a GPU the processes find each other on the CPU, without being told
    found = [] if torch.cuda.is_available() else ["device="]
    parts = [f"batch_size={batch_size}", f"accumulate={accumulate}", *found]
    double = command(root, tmp_path / "double", *plain, *norms, *parts)
    processes = subprocess.run([*torchrun, *double[1:]], capture_output=True, text=True, timeout=300)
    assert processes.returncode == 0, processes.stderr
    single = subprocess.run(command(root, tmp_path / "single", *plain, *norms), capture_output=True, text=True)
    assert single.returncode == 0, single.stderr
    tolerance = 1e-5 if accumulate == 2 else 1e-3  # statistics of four small clips magnify rounding errors
    assert close(weights(tmp_path / "double" / "last"), weights(tmp_path / "single" / "last"), tolerance)
    metrics = [(tmp_path / name / "log.csv").read_text().splitlines()[-1] for name in ("double", "single")]
    assert metrics[0].count(",") == metrics[1].count(",")


def test_machines_that_share_no_disk_are_told_when_they_resume(root, tmp_path):
    """Each of two processes in a folder of its own, of which one has a state."""
    port = str(23000 + os.getpid() % 20000)
    common = {"WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    (tmp_path / "0" / "run" / "checkpoints" / "step-00000001").mkdir(parents=True)
    (tmp_path / "1").mkdir()
    path = os.pathsep.join([os.path.dirname(os.path.dirname(vidhub.__file__)), os.environ.get("PYTHONPATH", "")])
    processes = [
        subprocess.Popen(
            command(root, "run", "--resume"),
            cwd=tmp_path / rank,
            env={**os.environ, **common, "RANK": rank, "PYTHONPATH": path},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in "01"
    ]
    for process in processes:
        assert "process 1 does not see 'step-00000001'" in process.communicate(timeout=120)[1]
        assert process.returncode == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="FSDP runs on GPUs")
def test_sharded_networks_train_and_are_saved_whole(root, tmp_path):
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", str(torch.cuda.device_count())]
    settings = command(root, tmp_path, "device=", "ema_decay=0")[1:]
    done = subprocess.run([*launch, "--use_fsdp", "--fsdp_version", "2", *settings], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert vidhub.create_model(f"local-dir:{tmp_path / 'last'}").num_classes == 2


def test_workers_change_nothing(root, run, tmp_path):
    assert same(weights(train(root, tmp_path, workers=2).folder / "last"), weights(run.folder / "last"))


def test_a_compiled_network_learns_the_same(root, tmp_path, monkeypatch):
    calls = []
    original = torch.nn.Module.compile
    # without the compiler that makes kernels, which takes minutes
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: calls.append(original(self, backend="aot_eager")))
    plain = {"model_args": {"depth": 0.5, "dropout": 0.0}, "epochs": 1, "optimizer": "momentum", "lr": 1e-4, "size": 64}
    eager = train(root, tmp_path / "eager", **plain)
    assert not calls
    compiled = train(root, tmp_path / "compiled", **plain, compile=True)
    assert len(calls) == 1
    assert close(weights(compiled.folder / "last"), weights(eager.folder / "last"), 1e-4)


def test_bfloat16_on_a_cpu_repeats(root, tmp_path):
    """In channels-last layout PyTorch fills gradients of depthwise kernels for two frames with what memory holds."""
    one, other = (train(root, tmp_path / name, epochs=1, precision="bf16") for name in ("one", "other"))
    assert same(weights(one.folder / "last"), weights(other.folder / "last"))


def test_accumulated_batches_are_one_batch(root, tmp_path):
    plain = {"freeze_bn": True, "model_args": {"depth": 0.5, "dropout": 0.0}, "mixup": 0.0, "cutmix": 0.0}
    whole = train(root, tmp_path / "whole", **plain)
    parts = train(root, tmp_path / "parts", **plain, batch_size=2, accumulate=2)
    assert close(weights(whole.folder / "last"), weights(parts.folder / "last"), 1e-4)


# --------------------------------------------------------------------------------------------------- when things break


def test_corrupt_videos_are_replaced_and_reported(root, tmp_path, capsys):
    folder = tmp_path / "data"
    fill(folder / "train", 4)
    fill(folder / "val", 1)
    (folder / "train" / "still" / "9.mp4").write_bytes(b"no video at all")
    (folder / "val" / "still" / "9.mp4").write_bytes(b"no video at all")
    run = train(folder, tmp_path / "run")
    assert (run.folder / "unreadable.txt").read_text().count("9.mp4") >= 1
    assert "1 unreadable videos were replaced" in capsys.readouterr().err
    assert "unreadable videos" in (run.folder / "report.html").read_text()
    assert "9.mp4" in (run.folder / "not_validated.txt").read_text()
    assert "not validated" in (run.folder / "report.html").read_text()


def test_a_validation_set_of_other_classes_or_none_is_told_at_once(root, tmp_path):
    train_set, val_set = (vidhub.create_dataset("folder", root, split) for split in ("train", "val"))
    given = {"train_set": train_set, "root": "", "out": str(tmp_path), **TINY}
    wrong = {
        "their order": VideoDataset(val_set.records, classes=("still", "moving")),
        "'rolling'": VideoDataset(val_set.records, classes=("moving", "rolling")),
        "5 classes, the training set 2": VideoDataset(val_set.records, num_classes=5),
        "is empty": VideoDataset([], classes=train_set.classes),
    }
    for message, data in wrong.items():
        with pytest.raises(InputError, match=message):
            vidhub.train(val_set=data, **given)


def test_a_validation_that_fails_loses_no_epoch(root, tmp_path):
    def fail(model):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        train(root, tmp_path, validate=fail)
    run = train(root, tmp_path, validate=lambda model: {"score": 1.0}, resume=True)
    assert [row["step"] for row in run.history if "val_score" in row] == [3, 6]


def test_nothing_readable_is_an_error(root, tmp_path):
    for name in ("a/1.mp4", "b/2.mp4"):
        (tmp_path / "train" / name).parent.mkdir(parents=True)
        (tmp_path / "train" / name).write_bytes(b"no video")
    with pytest.raises(VidhubError, match="videos in a row cannot be read"):
        train(tmp_path, tmp_path / "run", val_split="")


def test_a_run_that_goes_nan_names_the_batch(root, tmp_path):
    with pytest.raises(VidhubError, match=r"the loss is (nan|inf) at step \d+ .*\.mp4"):
        train(root, tmp_path, lr=1e30, optimizer="sgd", epochs=20, ema_decay=0.0)


@pytest.mark.parametrize("kilobytes", [200, 8_000])
def test_a_full_disk_is_told_in_one_sentence(root, tmp_path, kilobytes):
    """Files larger than allowed fail as on a full disk: the weights, or the larger state of the optimiser."""
    limited = f"ulimit -f {kilobytes}; exec {shlex.join(command(root, tmp_path))}"
    done = subprocess.run(["bash", "-c", limited], capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert f"vidhub: cannot write the checkpoint '{tmp_path}/checkpoints/step-0" in done.stderr
    assert not list(tmp_path.glob("checkpoints/*"))


def test_weights_that_cannot_be_written_are_told(tmp_path):
    with pytest.raises(VidhubError, match=r"cannot write .*none/a\.safetensors"):
        write_safetensors({"a": torch.zeros(1)}, tmp_path / "none" / "a.safetensors", {})


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"optimizer": "nonsense"}, InputError, "optimizer 'nonsense'"),
        ({"schedule": "nonsense"}, InputError, "schedule 'nonsense'"),
        ({"loss": "cross_entrop"}, UnknownNameError, "cross_entropy"),
        ({"dataset": "foldr"}, UnknownNameError, "folder"),
        ({"model": "x3d_xss"}, UnknownNameError, "x3d_xs"),
        ({"freeze_stages": 9}, InputError, "6 stages"),
        ({"device": "cuda:77"}, InputError, "cuda:77"),
        ({"augment": {"colour_jitter": 0.1}}, UnknownNameError, "did you mean 'color_jitter'"),
        ({"loss": "class_balanced_focal", "loss_args": {"gama": 1}}, UnknownNameError, "did you mean 'gamma'"),
        ({"loss": "class_balanced_focal", "mixup": 0.2}, InputError, "leave it out, or mixup"),
        ({"loss": "class_balanced_focal", "smoothing": 0.2}, InputError, "smoothing"),
        ({"loss_args": {"weight": [1, 2, 3]}}, InputError, "each of the 2 classes"),
        ({"train_split": "nothing"}, VidhubError, "nothing"),
    ],
)
def test_wrong_recipes_are_told(root, tmp_path, settings, error, message):
    with pytest.raises(error, match=message):
        train(root, tmp_path, **settings)


# ------------------------------------------------------------------------------------------------------- the settings


@pytest.mark.parametrize(
    "settings",
    [
        {"layer_decay": 0.7, "warmup_epochs": 1, "clip_grad": 1.0, "smoothing": 0.1},
        {"repeats": 2, "grad_checkpointing": True, "cache": 40},
        {"balance": True, "optimizer": "momentum", "schedule": "multistep", "schedule_args": {"decay_milestones": [1]}},
        {"precision": "bf16", "views": (2, 1)},
        {"loss_args": {"weight": [1, 2]}, "freeze_stages": -1},
        {"loss": "class_balanced_focal", "mixup": 0.0, "cutmix": 0.0, "loss_args": {"beta": 0.9, "gamma": 1.0}},
        {"augment": {"area": [0.5, 1.0], "rand_augment": [2, 9], "erasing": 0.25}, "schedule": "constant"},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_settings_run(root, tmp_path, settings):
    run = train(root, tmp_path, epochs=1, **settings)
    assert 0 <= run.metrics["top1"] <= 100
    assert run.model.data_config.views == settings.get("views", (10, 3))


def test_a_network_and_data_sets_of_ones_own(root, tmp_path):
    train_set = vidhub.create_dataset("folder", root, "train")
    val_set = vidhub.create_dataset("folder", root, "val")
    model = vidhub.create_model("x3d_xs", num_classes=2, depth=0.5)
    given = {"model": model, "train_set": train_set, "val_set": val_set, "epochs": 1, "cache": 40, "balance": True}
    vidhub.train(out=str(tmp_path / "run"), **{**TINY, "root": "", **given})
    assert train_set.transform is None
    assert val_set._cached  # what is cached serves the next run too
    assert vidhub.create_model(f"local-dir:{tmp_path / 'run'}").labels == ("moving", "still")
    other = VideoDataset(train_set.records, num_classes=5)
    with pytest.raises(InputError, match="the model has 2 classes, the training set 5"):
        vidhub.train(out=str(tmp_path / "other"), **{**TINY, **given, "train_set": other})


def test_frozen_parts_keep_their_values(root, tmp_path):
    settings = {"freeze_stages": 2, "freeze_bn": True, "ema_decay": 0.0, "epochs": 1}
    torch.manual_seed(0)
    model = vidhub.create_model("x3d_xs", num_classes=2, depth=0.5)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    after = train(root, tmp_path, model=model, **settings).model.state_dict()
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    norms = {f"{name}." for name, m in model.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)}
    assert changed
    assert not [k for k in changed if k.startswith(("stem.", "layer1.")) or any(k.startswith(n) for n in norms)]


class Falling(nn.Module):
    """A weight that falls by the learning rate at every step."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


def fall(folder, samples=1, **settings):
    def loss(network, batch):
        return getattr(network, "module", network).weight.sum()

    settings = {"epochs": 1, "batch_size": 1, "workers": 0, "device": "cpu", "tensorboard": False, **settings}
    return vidhub.train(model=Falling(), train_set=[torch.zeros(1)] * samples, loss=loss, out=str(folder), **settings)


def test_a_moving_average_may_have_one_decay_throughout(tmp_path):
    settings = {"epochs": 3, "lr": 1.0, "weight_decay": 0.0, "ema_decay": 0.5, "schedule": "constant"}
    settings |= {"optimizer": "momentum", "optimizer_args": {"momentum": 0.0}}

    def average(**changes):
        return fall(tmp_path / str(changes), **settings, **changes).model.weight

    # of -1, -2 and -3, the first of which it starts with
    assert average(ema_warmup=False).item() == pytest.approx(-2.25)
    assert average().item() != pytest.approx(-2.25)


def test_a_validation_of_ones_own_gets_the_network_in_evaluation_mode(tmp_path):
    def validate(model):
        return {"training": float(model.training or torch.is_grad_enabled())}

    assert fall(tmp_path, validate=validate).metrics == {"training": 0.0}


def test_a_network_trained_in_mixed_precision_computes_in_its_own_afterwards(tmp_path):
    data = [(torch.linspace(0, 1, 7), 0)]
    settings = {"precision": "bf16", "epochs": 1, "batch_size": 1, "workers": 0, "device": "cpu", "tensorboard": False}
    model = vidhub.train(model=nn.Linear(7, 2), train_set=data, out=str(tmp_path), **settings).model
    assert torch.equal(model(data[0][0]), nn.functional.linear(data[0][0], model.weight, model.bias))


def test_repeated_clips_are_mixed_with_those_of_other_videos(root, tmp_path):
    seen = []

    def loss(model, batch):
        seen.append(batch[1])
        return model(batch[0]).mean()

    records = [replace(r, label=i) for i, r in enumerate(vidhub.create_dataset("folder", root, "train").records[:4])]
    data = VideoDataset(records, num_classes=4)
    train(root, tmp_path, train_set=data, loss=loss, repeats=2, mixup=1.0, cutmix=0.0, epochs=1, ema_decay=0.0)
    assert [(targets > 0).sum(1).tolist() for targets in seen] == [[2] * 8]


def test_a_cosine_may_begin_after_the_warm_up():
    recipe = Recipe(epochs=10, warmup_epochs=4, lr=1.0, schedule_args={"warmup_prefix": True})
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 1.0)
    schedule, rates = create_schedule(optimizer, recipe, epoch_length=1), []
    for step in (2, 4, 7, 10):
        schedule.step_update(step)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.5, 1.0, 0.5, 0.0])


def test_learning_rate_follows_the_batch_and_the_schedule(root, tmp_path):
    settings = {"lr": 0.1, "lr_batch_size": 8, "schedule": "multistep", "epochs": 3, "val_split": ""}
    warm = train(root, tmp_path / "warm", **{**settings, "epochs": 1}, warmup_epochs=1, warmup_lr=0.04).history
    assert [row["lr"] for row in warm] == pytest.approx([0.02, 0.03, 0.04])
    run = train(root, tmp_path, **settings, schedule_args={"decay_milestones": [1, 2], "decay_rate": 0.1})
    rates = [row["lr"] for row in run.history]
    assert rates == pytest.approx([0.05] * 3 + [0.005] * 3 + [0.0005] * 3)


def test_several_data_sets_are_trained_together(root, tmp_path):
    tables = [
        {"dataset": "folder", "root": str(root), "weight": 3.0},
        {"dataset": "folder", "root": str(root), "weight": 1},
    ]
    run = train(root, tmp_path, dataset=tables, epochs=1)
    assert sum("loss" in row for row in run.history) == 6


def test_draws_follow_what_a_cache_could_read(root, tmp_path):
    """Of two data sets of six videos, one of which is broken in the first: 2 to 1, and classes alike."""
    fill(tmp_path / "data" / "train", 3)
    (tmp_path / "data" / "train" / "moving" / "1.mp4").write_bytes(b"no video")
    tables = [{"dataset": "folder", "root": str(tmp_path / "data"), "weight": 2.0}, {"dataset": "folder"}]
    settings = {**TINY, "root": str(root), "cache": 40, "val_split": "", "out": str(tmp_path / "run")}
    drawn = Run(Recipe(**settings, dataset=tables)).load.keywords["weights"]
    assert drawn == pytest.approx([2 / 5] * 5 + [1 / 12] * 12)
    settings = {**settings, "root": str(tmp_path / "data"), "balance": True}
    assert Run(Recipe(**settings)).load.keywords["weights"] == pytest.approx([1 / 2] * 2 + [1 / 3] * 3)


@pytest.mark.parametrize(("settings", "count"), [({}, 2), ({"model_args": {"depth": 0.5, "num_classes": 5}}, 5)])
def test_lists_without_class_names_have_the_classes_of_their_labels(root, tmp_path, settings, count):
    for split in ("train", "val"):
        videos = sorted((root / split).glob("*/*.mp4"))
        lines = [f"{video} {int(video.parent.name == 'still')}\n" for video in videos]
        (tmp_path / f"{split}.txt").write_text("".join(lines))
    run = train(tmp_path, tmp_path / "run", dataset="video_list", epochs=1, **settings)
    assert run.model.num_classes == count


def test_a_validation_set_may_have_the_first_classes_alone(root, tmp_path):
    other = tmp_path / "other"
    fill(other / "train", 1)
    (other / "train" / "still").rename(other / "train" / "rolling")
    tables = [{"dataset": "folder"}, {"dataset": "folder", "root": str(other)}]
    run = train(root, tmp_path / "run", dataset=tables, epochs=1)
    assert run.model.labels == ("moving", "still", "rolling")
    assert set(run.metrics) == {"top1", "top5", "mean_class", "loss"}


def test_a_score_that_is_no_number_is_never_the_best(root, tmp_path):
    scores = iter([float("nan"), 10.0])
    assert train(root, tmp_path, validate=lambda model: {"score": next(scores)}).best == {"score": 10.0}


# --------------------------------------------------------------------------------------------------------- other tasks


class Boundaries(Dataset):
    """Feature sequences with a step in them, and where it is: localization in miniature."""

    def __len__(self):
        return 64

    def __getitem__(self, index):
        at = int(torch.randint(4, 12, ()))
        return (torch.arange(16) >= at).float()[None] + 0.1 * torch.randn(1, 16), (torch.arange(16) == at).float()


def test_skeletons_without_a_label_are_not_trained_on(tmp_path):
    item = {"frame_dir": "x", "label": -1, "total_frames": 2, "keypoint": np.zeros((1, 2, 17, 2))}
    (tmp_path / "poses.pkl").write_bytes(pickle.dumps([item]))
    with pytest.raises(InputError, match="x' has no label, which training needs"):
        open_training_set(Recipe(dataset="poses", root=str(tmp_path), train_split=""))


def test_other_tasks_bring_their_loss_and_validation(tmp_path):
    model = nn.Sequential(nn.Conv1d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv1d(8, 1, 3, padding=1), nn.Flatten())

    def loss(model, batch):
        features, boundary = batch
        return nn.functional.binary_cross_entropy_with_logits(model(features), boundary)

    def validate(model):
        torch.manual_seed(0)
        samples = [Boundaries()[i] for i in range(32)]
        found = model(torch.stack([f for f, _ in samples])).argmax(1)
        return {"hits": float((found == torch.stack([b for _, b in samples]).argmax(1)).float().mean())}

    settings = {"epochs": 20, "batch_size": 8, "lr": 1e-2, "workers": 0, "device": "cpu", "tensorboard": False}
    run = vidhub.train(model=model, train_set=Boundaries(), loss=loss, validate=validate, out=str(tmp_path), **settings)
    assert run.best["hits"] > 0.9
    assert same(weights(tmp_path / "last"), run.model.state_dict())
    assert Recipe(**settings).epochs == 20
