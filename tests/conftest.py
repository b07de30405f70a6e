"""No test leaves this machine: the Hugging Face client is pointed at a Hub in memory before anything imports it."""

import os
import tempfile

import pytest
from hypothesis import settings
from servers import HubServer

if "PYTEST_XDIST_WORKER" in os.environ:  # a process for each core: they must not all use every core
    os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("vidhub", deadline=None)  # a busy machine is no failure
settings.load_profile("vidhub")

_HUB = HubServer().__enter__()
_FOLDER = tempfile.TemporaryDirectory()
os.environ.update(
    HF_ENDPOINT=_HUB.address,
    HF_HOME=_FOLDER.name,
    HF_HUB_DISABLE_XET="1",
    NO_PROXY="127.0.0.1",
    VIDHUB_CACHE=os.path.join(_FOLDER.name, "vidhub"),
)
for _name in ("HF_HUB_OFFLINE", "HF_HUB_CACHE", "VIDHUB_OFFLINE", "VIDHUB_MIRROR"):
    os.environ.pop(_name, None)


@pytest.fixture
def hub() -> HubServer:
    """The Hub that ``huggingface_hub`` talks to, empty."""
    _HUB.repos.clear()
    _HUB.requests.clear()
    return _HUB
