"""Saved models come back the same, from a folder and through the real Hugging Face client."""

import json
import logging
from dataclasses import replace

import pytest
import torch

from vidhub.errors import InputError, UnknownNameError, VidhubError, WeightsError
from vidhub.models._factory import create_model
from vidhub.models._hub import load_from_hub, load_local, push_to_hub, save_checkpoint
from vidhub.models.layers.pos_embed import resize_positions
from vidhub.weights import resolve
from vidhub.weights.types import DataConfig, Weights

PARENT = Weights(
    "https://download.invalid/x3d.pth",
    "x3d_xs",
    "k400",
    400,
    DataConfig(4, stride=12, size=160, resize=(182, 182)),
    3_794_322,
    license="CC-BY-NC-4.0",
    commercial_use=False,
    metrics={"top1": 69.4},
    mirrors=("hf://org/x3d/x3d.pth",),
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = create_model("x3d_xs", num_classes=3, dropout=0.25)
    model.labels = ("wave", "jack", "bend")
    model.data_config = replace(PARENT.data_config, num_frames=2, mean=(0.1, 0.2, 0.3), target_fps=12.5)
    model.weights = PARENT
    return model


@pytest.fixture
def folder(model, tmp_path):
    save_checkpoint(model, tmp_path / "mine" / "x3d")
    return tmp_path / "mine" / "x3d"


def assert_same(model, expected):
    assert model.arch == expected.arch
    assert model.config == expected.config
    assert model.num_classes == expected.num_classes
    assert model.labels == expected.labels
    assert model.data_config == expected.data_config
    assert model.weights == expected.weights
    state = model.state_dict()
    for key, value in expected.state_dict().items():
        assert torch.equal(state[key], value), key
    clip = torch.randn(1, 3, 2, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(model(clip), expected(clip), rtol=0, atol=0)


def card_head(text: str) -> list[str]:
    return text.split("---\n")[1].splitlines()


def test_local_round_trip(model, folder):
    assert sorted(p.name for p in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert_same(load_local(folder), model)
    assert_same(create_model(f"local-dir:{folder}"), model)


def test_config_and_card_carry_the_licence_on(folder, tmp_path):
    config = json.loads((folder / "config.json").read_text())
    assert config["library"] == "vidhub"
    assert config["arch"] == "x3d_xs"
    assert config["kwargs"] == {"num_classes": 3, "dropout": 0.25}
    assert config["labels"] == ["wave", "jack", "bend"]
    assert config["license"] == "CC-BY-NC-4.0"
    assert config["weights"]["metrics"] == {"top1": 69.4}
    card = (folder / "README.md").read_text()
    assert {"license: cc-by-nc-4.0", "library_name: vidhub", "base_model: org/x3d"} <= set(card_head(card))
    assert "- video-classification" in card_head(card)
    assert "https://download.invalid/x3d.pth" in card
    assert "no commercial use" in card

    save_checkpoint(load_local(folder), tmp_path / "again")
    again = json.loads((tmp_path / "again" / "config.json").read_text())
    assert again == config


def test_card_of_other_licences(model, tmp_path):
    model.weights = replace(PARENT, license="Custom Research", mirrors=())
    save_checkpoint(model, tmp_path)
    head = card_head((tmp_path / "README.md").read_text())
    assert "license: other" in head
    assert 'license_name: "custom-research"' in head
    assert not any(line.startswith("base_model") for line in head)
    model.weights = None
    save_checkpoint(model, tmp_path)
    head = card_head((tmp_path / "README.md").read_text())
    assert not any(line.startswith("license") for line in head)


@pytest.mark.parametrize(
    ("arch", "pipeline"),
    [("tsn_r18_audio", ["pipeline_tag: audio-classification"]), ("bsn_pem", []), ("stgcn", [])],
)
def test_card_names_the_task_where_the_hub_has_one(tmp_path, arch, pipeline):
    save_checkpoint(create_model(arch), tmp_path)
    head = card_head((tmp_path / "README.md").read_text())
    assert [line for line in head if line.startswith("pipeline_tag")] == pipeline


def test_licence_is_told_on_loading(folder, caplog, monkeypatch):
    monkeypatch.setattr(resolve, "_told", set())
    with caplog.at_level(logging.WARNING, "vidhub"):
        load_local(folder)
    assert caplog.messages == ["the weights x3d_xs.k400 are licensed CC-BY-NC-4.0: no commercial use."]


@pytest.mark.parametrize("num_classes", [5, 0])
def test_changed_num_classes(model, folder, caplog, num_classes):
    with caplog.at_level(logging.WARNING, "vidhub"):
        other = load_local(folder, num_classes=num_classes)
    new = [message for message in caplog.messages if "the classifier is new and untrained" in message]
    assert len(new) == (num_classes > 0)
    assert other.num_classes == num_classes
    assert other.labels is None
    assert torch.equal(other.state_dict()["stem.conv_s.weight"], model.state_dict()["stem.conv_s.weight"])


def test_changed_clips_change_the_data_configuration(tmp_path):
    model = create_model("tsm", backbone="resnet10t", num_classes=3)
    model.data_config = replace(model.data_config, flip_labels=((0, 1),))
    save_checkpoint(model, tmp_path / "tsm")
    assert load_local(tmp_path / "tsm", num_frames=4).data_config == replace(model.data_config, num_frames=4)
    assert load_local(tmp_path / "tsm", num_classes=5).data_config.flip_labels == ()
    model = create_model("vit3d_small", num_classes=3, img_size=32, dim=12, num_heads=2, depth=1)
    save_checkpoint(model, tmp_path / "vit")
    assert load_local(tmp_path / "vit", img_size=64).data_config.size == 64


@pytest.mark.parametrize("positions", ["sinusoid", "learned"])
def test_positions_are_resized_from_the_saved_grid(tmp_path, positions):
    small = {"dim": 12, "num_heads": 2, "depth": 1, "num_classes": 3, "positions": positions}
    model = create_model("vit3d_small", num_frames=8, img_size=112, **small)
    save_checkpoint(model, tmp_path)
    other = load_local(tmp_path, num_frames=16, img_size=224)
    assert torch.equal(other.pos_embed, resize_positions(model.pos_embed, (4, 7, 7), (8, 14, 14)))


def test_other_weights_for_a_saved_model(model, folder, tmp_path):
    changed = {key: value + 1 for key, value in model.state_dict().items()}
    torch.save(changed, tmp_path / "epoch_9.pth")
    other = create_model(f"local-dir:{folder}", checkpoint_path=tmp_path / "epoch_9.pth")
    assert all(torch.equal(value, changed[key]) for key, value in other.state_dict().items())
    with pytest.raises(InputError, match="leave pretrained='timm:resnet50' out"):
        create_model(f"local-dir:{folder}", pretrained="timm:resnet50")


def test_reset_classifier_before_saving(model, tmp_path):
    model.reset_classifier(7)
    save_checkpoint(model, tmp_path)
    again = load_local(tmp_path)
    assert again.num_classes == 7
    assert again.labels is None  # three names do not fit seven classes


def test_compiled_networks_are_saved_under_their_own_names(model, tmp_path):
    compiled = torch.compile(model)
    save_checkpoint(compiled, tmp_path)
    assert_same(load_local(tmp_path), model)
    torch.save(compiled.state_dict(), tmp_path / "mine.pth")
    assert_same(load_local(tmp_path, checkpoint_path=tmp_path / "mine.pth"), model)


def test_saving_again_replaces(model, folder):
    with torch.no_grad():
        next(model.parameters()).add_(1)
    save_checkpoint(model, folder)
    assert_same(load_local(folder), model)


def test_reparameterized_networks_are_not_saved(tmp_path):
    model = create_model("tsn", backbone="mobileone_s0", num_classes=3).reparameterize()
    with pytest.raises(InputError, match="save it before"):
        save_checkpoint(model, tmp_path)


def test_only_models_of_create_model_can_be_saved(tmp_path, model):
    with pytest.raises(InputError, match="Linear has no arch"):
        save_checkpoint(torch.nn.Linear(2, 2), tmp_path)
    model.config["act"] = torch.nn.ReLU
    with pytest.raises(InputError, match="cannot be saved"):
        save_checkpoint(model, tmp_path)
    assert list(tmp_path.iterdir()) == []


def edit(folder, **changes):
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"library": "timm"}, WeightsError, "it is of 'timm'"),
        ({"arch": "x3d_xxs"}, UnknownNameError, "did you mean"),
        ({"arch": "local-dir:."}, UnknownNameError, "unknown model 'local-dir:.'"),
        ({"arch": "x3d_m"}, WeightsError, "not one of x3d_m: it lacks 'layer1.3"),
        ({"kwargs": {"colour": 3}}, InputError, "colour"),
        ({"kwargs": {"checkpoint_path": "/etc/passwd"}}, WeightsError, "checkpoint_path is no argument of a network"),
        ({"kwargs": {"features_only": True}}, WeightsError, "features_only is no argument of a network"),
        ({"kwargs": {"trunk": "local-dir:."}}, UnknownNameError, "unknown model 'local-dir:.'"),
        ({"kwargs": {"trunk_args": {"pretrained": True}}}, WeightsError, "pretrained is no argument of a network"),
        ({"kwargs": 3}, WeightsError, "not a configuration that vidhub can read"),
        ({"data_config": {"num_frames": 4, "colour": 3}}, WeightsError, "colour"),
    ],
)
def test_wrong_config(folder, changes, error, reason):
    if changes.get("arch") == "x3d_m":
        changes = {**changes, "kwargs": {"num_classes": 3, "depth": 5.0}}
    edit(folder, **changes)
    with pytest.raises(error, match=reason) as raised:
        load_local(folder)
    assert "\n" not in str(raised.value)


def test_broken_or_missing_files(folder, tmp_path):
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:-10])
    with pytest.raises(WeightsError, match="is damaged"):
        load_local(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"holds no model\.safetensors"):
        load_local(folder)
    (folder / "config.json").write_text("{")
    (folder / "model.safetensors").write_bytes(weights)
    with pytest.raises(WeightsError, match="not a configuration"):
        load_local(folder)
    (folder / "config.json").write_text("{}")
    with pytest.raises(WeightsError, match="it lacks 'library'"):
        load_local(folder)
    with pytest.raises(WeightsError, match=r"holds no config\.json"):
        load_local(tmp_path / "nowhere")


def test_hub_round_trip(hub, model, monkeypatch):
    assert push_to_hub(model, "org/x3d-mine", token="hf_x") == f"{hub.address}/org/x3d-mine"
    assert sorted(hub.repos["org/x3d-mine"]) == ["README.md", "config.json", "model.safetensors"]
    assert b'create_model("hf-hub:org/x3d-mine")' in hub.repos["org/x3d-mine"]["README.md"]
    assert_same(create_model("hf-hub:org/x3d-mine"), model)
    assert load_from_hub("org/x3d-mine", revision=hub.COMMIT, num_classes=5).num_classes == 5

    with torch.no_grad():
        next(model.parameters()).add_(1)
    push_to_hub(model, "org/x3d-mine", token="hf_x", private=True, commit_message="Train on")
    assert len(hub.repos) == 1


def test_offline_the_cache_alone_is_asked(hub, model, monkeypatch):
    push_to_hub(model, "org/cached", token="hf_x")
    load_from_hub("org/cached")
    hub.requests.clear()
    monkeypatch.setenv("VIDHUB_OFFLINE", "1")
    assert_same(load_from_hub("org/cached"), model)
    with pytest.raises(WeightsError, match="cannot get 'org/other'"):
        load_from_hub("org/other")
    assert hub.requests == []


def test_hub_errors(hub, model):
    hub.repos["org/empty"] = {}
    for repo_id, reason in (("org/none", "401"), ("org/empty", "404"), ("no such/name/", "Repo id")):
        with pytest.raises(WeightsError, match=f"cannot get '{repo_id}' from the Hub .*{reason}") as raised:
            load_from_hub(repo_id)
        assert "\n" not in str(raised.value)
    with pytest.raises(WeightsError, match="cannot get 'org/empty'"):
        load_from_hub("org/empty", revision="v2")
    with pytest.raises(VidhubError, match="cannot push to 'a/b/c'"):
        push_to_hub(model, "a/b/c", token="hf_x")
