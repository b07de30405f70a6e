"""``torch.hub`` finds every model in a checkout, without vidhub being installed."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import vidhub

ROOT = Path(__file__).parents[1]
NAMES = [*vidhub.list_models(), *vidhub.list_pretrained()]


@pytest.fixture(autouse=True)
def checkout_for_github(monkeypatch):
    """``torch.hub.list`` and ``help`` take no local folder: what they would download is this checkout."""
    monkeypatch.setattr(torch.hub, "_get_cache_or_reload", lambda *args, **kwargs: str(ROOT))


def test_list():
    assert sorted(torch.hub.list("owner/vidhub")) == sorted(NAMES)


@pytest.mark.parametrize("name", ["slowfast_r50", "x3d_xs.ptv_k400_4x12"])
def test_help(name):
    assert "(B, num_classes)" in torch.hub.help("owner/vidhub", name)
    assert "pretrained" in torch.hub.help("owner/vidhub", name)


@pytest.mark.parametrize("name", NAMES)
def test_load(name, monkeypatch):
    monkeypatch.setattr(vidhub, "create_model", lambda *args, **kwargs: (args, kwargs))
    assert torch.hub.load(str(ROOT), name, source="local") == ((name,), {"pretrained": False})
    found = torch.hub.load(str(ROOT), name, source="local", pretrained=True, num_classes=3)
    assert found == ((name,), {"pretrained": True, "num_classes": 3})


def test_no_installation_is_needed(tmp_path):
    code = f"import torch; print(torch.hub.load({str(ROOT)!r}, 'x3d_xs', source='local', num_classes=2).num_classes)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "2\n"


def test_unknown_name():
    with contextlib.redirect_stderr(None), pytest.raises(RuntimeError, match="slowfast_r51"):
        torch.hub.load(str(ROOT), "slowfast_r51", source="local")
