"""Large weights that are filled late hold what they would have held at once."""

import pytest
import torch
from torch import nn

import vidhub
from vidhub.models._late_init import LateInit

N = 2**20


def large():
    return torch.full((N,), torch.nan)


def test_the_last_fill_counts_and_is_repeatable():
    def draw(seed, threads):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        try:
            with LateInit():
                x, y = nn.init.uniform_(large()), nn.init.constant_(large(), 3.0)
                nn.init.normal_(x, mean=5.0, std=2.0)
                assert x[:0].numel() == 0  # a look at it
                z = nn.init.normal_(large())
        finally:
            torch.set_num_threads(before)
        return x, y, z

    x, y, z = draw(0, threads=1)
    assert x.mean().item() == pytest.approx(5, abs=0.02)
    assert x.std().item() == pytest.approx(2, rel=0.01)
    assert y.eq(3).all()
    assert z.std().item() == pytest.approx(1, rel=0.01)
    again, other = draw(0, threads=2), draw(1, threads=2)
    assert torch.equal(again[0], x)
    assert torch.equal(again[2], z)
    assert not torch.equal(other[2], z)


def test_nothing_is_drawn_for_what_is_copied_over():
    with LateInit() as late:
        x = nn.init.normal_(large())
        assert len(late.late) == 1
        x.copy_(torch.arange(N))
        assert not late.late
    assert torch.equal(x, torch.arange(N).float())


def test_a_copy_into_a_part_comes_after_the_fill():
    with LateInit():
        x = nn.init.ones_(large())
        x[: N // 2].copy_(torch.zeros(N // 2))
    assert x.sum() == N // 2


def test_aliases_are_seen():
    with LateInit():
        parameter = nn.Parameter(nn.init.ones_(large()))
        doubled = parameter.detach() * 2
        nn.init.zeros_(parameter)
        listed = torch.cat([nn.init.ones_(large()), doubled])
    assert doubled.eq(2).all()
    assert parameter.eq(0).all()
    assert listed.sum() == 3 * N


def test_a_generator_of_the_caller_s_is_used_at_once():
    with LateInit() as late:
        x = nn.init.normal_(large(), generator=torch.Generator().manual_seed(3))
        assert not late.late
    assert torch.equal(x, torch.randn(N, generator=torch.Generator().manual_seed(3)))


def test_inference_mode_holds_in_the_threads():
    with torch.inference_mode(), LateInit():
        x = nn.init.ones_(large())
    assert x.eq(1).all()


def test_one_in_another():
    torch.manual_seed(0)
    with LateInit() as outer:
        with LateInit():
            x = nn.init.normal_(large())
        assert len(outer.late) == 1
    assert x.std().item() == pytest.approx(1, rel=0.01)


def test_a_network_starts_as_it_should():
    torch.manual_seed(0)
    model = vidhub.create_model("vit3d_base", depth=1)
    weight = model.blocks[0].mlp.fc1.weight
    assert weight.numel() >= N
    assert weight.std().item() == pytest.approx(0.02, rel=0.01)
    torch.manual_seed(0)
    assert torch.equal(vidhub.create_model("vit3d_base", depth=1).blocks[0].mlp.fc1.weight, weight)


def test_fake_tensors_have_nothing_to_fill():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        model = vidhub.create_model("slowonly_r50")
        assert model(torch.zeros(1, 3, 4, 64, 64)).shape == (1, 400)
