"""How alike a rendered (or MRI) image and an ultrasound image are. Every measure grows with likeness.

All take `(moving, fixed, mask)`: moving (B, H, W) or (B, C, H, W), fixed (B or 1, H, W), mask (H, W) or
(B or 1, H, W). They return (B,) and are differentiable to both images.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from DiffUSLib.errors import DiffUSError
from DiffUSLib.similarity.lc2 import lc2
from DiffUSLib.similarity.lncc import lncc
from DiffUSLib.similarity.mind import mind_ssc
from DiffUSLib.similarity.mutual_information import mutual_information
from DiffUSLib.similarity.ngf import ngf
from DiffUSLib.similarity.regression import regression

_MEASURES = {
    "lc2": lc2,
    "lncc": lncc,
    "mind_ssc": mind_ssc,
    "mutual_information": mutual_information,
    "ngf": ngf,
    "regression": regression,
}

__all__ = ["lc2", "lncc", "mind_ssc", "mutual_information", "ngf", "regression", "similarity", "similarity_names"]


def similarity_names() -> list[str]:
    """Names that `similarity` knows, in alphabetical order."""
    return sorted(_MEASURES)


def similarity(name: str) -> Callable[..., torch.Tensor]:
    """The measure of that name.

    Raises:
        DiffUSError: if there is none.
    """
    if name not in _MEASURES:
        raise DiffUSError(f"the similarity '{name}' is unknown; choose one of {', '.join(similarity_names())}.")
    return _MEASURES[name]
