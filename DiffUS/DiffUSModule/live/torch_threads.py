"""How many CPU threads torch may take for a task beside the panel."""

from contextlib import contextmanager


@contextmanager
def oneTorchThread():
    """One: for small tensors that is often fastest, and it leaves the others to the views; as before afterwards."""
    import torch

    kept = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(kept)
