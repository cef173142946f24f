"""Which device computes, and why."""

from __future__ import annotations

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
