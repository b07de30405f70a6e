"""BSN and SSN from features and video to segments."""

import numpy as np
import pytest
import torch

import vidhub
from vidhub.datasets.features import FeatureDataset
from vidhub.datasets.records import SegmentsRecord
from vidhub.engine.ssn import ssn_predict
from vidhub.engine.two_stage import ProposalDataset, bsn_segments, collate_proposals, proposal_loss


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
