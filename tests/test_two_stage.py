"""BSN and SSN from features and video to segments."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import vidhub
from vidhub.cli import main
from vidhub.datasets.features import FeatureDataset
from vidhub.datasets.records import SegmentsRecord
from vidhub.engine.localization import open_features, score_segments
from vidhub.engine.ssn import ssn_predict
from vidhub.engine.two_stage import ProposalDataset, bsn_segments, collate_proposals, open_tem, proposal_loss
from vidhub.errors import InputError
from vidhub.weights.tables import EMBEDDED


@pytest.fixture
def tem():
    torch.manual_seed(0)
    return vidhub.create_model("bsn_tem", feature_dim=8, hidden_dim=16, num_steps=20)


def test_bsn_judges_the_proposals_that_it_made(tem, tmp_path):
    np.save(tmp_path / "a.npy", np.random.default_rng(0).normal(size=(33, 8)).astype(np.float32))
    record = SegmentsRecord("a", str(tmp_path / "a.npy"), 33.0, np.array([[5.0, 15]]), ("jump",))
    data = FeatureDataset([record], tem.data_config)
    pem = vidhub.create_model("bsn_pem", hidden_dim=16)
    proposals = ProposalDataset(tem, data)
    described, iou = collate_proposals([proposals[0], proposals[0]])
    assert described.shape == (2 * len(proposals[0][1]), 32)
    assert 0 < iou.max() <= 1
    proposal_loss(pem, (described, iou)).backward()
    assert pem.fc1.weight.grad.abs().sum() > 0
    found = bsn_segments(tem, pem, data.features(0), 33.0)
    assert found.segments.shape == (len(found.scores), 2)
    assert found.segments.max() <= 33


def test_bsn_is_trained_measured_and_run_by_commands(tmp_path, capsys, monkeypatch):
    pytest.importorskip("accelerate")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "features").mkdir()
    g, video = np.random.default_rng(0), {"duration_second": 30.0, "annotations": [{"segment": [5, 15], "label": "a"}]}
    for i in range(4):
        np.save(tmp_path / "features" / f"{i}.npy", g.normal(size=(25 + i, 8)).astype(np.float32))
    (tmp_path / "annotations.json").write_text(json.dumps({str(i): video for i in range(4)}))
    common = ["dataset=segments", "root=.", "epochs=1", "workers=0", "device=cpu", "tensorboard=false"]
    assert main(["train", "--set", "model=bsn_tem", "model_args.hidden_dim=8", "out=tem", *common]) == 0
    assert main(["train", "--set", "model=bsn_pem", "out=pem", *common]) == 2
    assert "name it (segments.proposal_model=...)" in capsys.readouterr().err
    assert main(["train", "--set", "model=bsn_pem", "segments.proposal_model=local-dir:tem", "out=pem", *common]) == 0
    monkeypatch.chdir("/")  # it knows where its first stage is
    capsys.readouterr()
    assert main(["eval", f"local-dir:{tmp_path / 'pem'}", "segments", str(tmp_path), "--json"]) == 0
    tem, pem = (vidhub.create_model(f"local-dir:{tmp_path / name}") for name in ("tem", "pem"))
    data = open_features(vidhub.create_dataset("segments", tmp_path, "val"), tem)
    wanted = score_segments(data, [bsn_segments(tem, pem, data.features(i), 30.0) for i in range(4)])
    assert json.loads(capsys.readouterr().out) == pytest.approx(wanted)
    command = ["predict", str(tmp_path / "features" / "0.npy"), "--task", "localization", "--duration", "30"]
    assert main([*command, "--model", f"local-dir:{tmp_path / 'pem'}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["labels"][0] == "action"
    (tmp_path / "tem" / "config.json").unlink()
    assert main([*command, "--model", f"local-dir:{tmp_path / 'pem'}"]) == 2
    assert "the network that makes the proposals" in capsys.readouterr().err


def test_the_published_second_stage_knows_the_first(tem):
    pem = vidhub.create_model("bsn_pem")
    assert pem.data_config.proposal_model == "bsn_tem.mm_anet_cuhk"
    pem.data_config = replace(pem.data_config, proposal_model=EMBEDDED)
    with pytest.raises(InputError, match="makes no proposals: it is no bsn_tem"):
        open_tem(pem)


class Reader:
    num_frames, fps = 40, 10.0

    def get_frames(self, indices):
        return torch.randint(0, 256, (len(indices), 3, 256, 340), dtype=torch.uint8)

    def close(self):
        pass


def test_ssn_on_a_video_is_the_network_on_its_ticks():
    torch.manual_seed(0)
    model = vidhub.create_model("ssn_r50", num_classes=3)
    found = ssn_predict(model, Reader(), np.array([[0.1, 0.5], [0.4, 0.9]]))
    assert found.segments.shape == (len(found.labels), 2)
    assert found.segments.max() <= 4
    assert set(found.labels.tolist()) <= {0, 1, 2}
    assert (np.diff(found.scores) <= 0).all()
