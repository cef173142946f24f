"""What every test may use: the folder of real data, and settings that make runs repeatable."""

import os
from pathlib import Path

import hypothesis
import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session", autouse=True)
def single_torch_thread():
    """Small tensors are slower on several threads, and sums depend on their number."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared_data():
    """Folder of real MRI, CT, label maps and tracked ultrasound, kept outside of the repository."""
    folder = Path(os.environ.get("DIFFUS_SHARED_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("the real data are not here (set DIFFUS_SHARED_DATA to their folder)")
    return folder
