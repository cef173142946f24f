"""Which device computes, and why."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator

import torch

from DiffUSLib.errors import DiffUSError


def choose_device(name: str | torch.device = "auto") -> tuple[torch.device, str]:
    """The device and the reason for it, as a phrase for people.

    Args:
        name: "auto" (an NVIDIA or AMD GPU if there is one, else the CPU), "cpu", "cuda", "cuda:1", "mps".

    Raises:
        DiffUSError: if the device is unknown or not there.
    """
    gpu = torch.cuda.is_available()
    if str(name) == "auto":
        if gpu:
            return torch.device("cuda"), f"GPU: {torch.cuda.get_device_name()}"
        why = "this PyTorch was built without GPU support" if torch.version.cuda is None else "no GPU was found"
        return torch.device("cpu"), f"CPU: {why}"
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        raise DiffUSError(f"the device '{name}' is unknown; choose auto, cpu, cuda or mps.") from None
    present = {
        "cpu": True,
        "cuda": gpu and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not present.get(device.type, False):
        raise DiffUSError(f"the device '{name}' is not available on this machine; choose auto or cpu.")
    return device, f"{device.type.upper()}: chosen by the user"


@contextlib.contextmanager
def one_core_left_free() -> Iterator[None]:
    """Within it, torch computes on all CPU cores but one (on one, if there is only one).

    For work beside a user interface: threads of torch wait for each other, so that a single core which is taken by
    something else holds all of them up, for a second at worst, while one thread less costs little.
    """
    kept = torch.get_num_threads()
    torch.set_num_threads(max(1, min(kept, (os.cpu_count() or 1) - 1)))
    try:
        yield
    finally:
        torch.set_num_threads(kept)


def release_memory() -> None:
    """Let go of what is kept between images, and give freed memory, also of a GPU, back to other programs."""
    from DiffUSLib.rendering.image_formation.scatterers import release_scatterers

    release_scatterers()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    # On Linux, the C library keeps tens of MB of freed memory for each thread that has computed.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform.startswith("linux") else None
    if trim is not None:
        trim(0)
