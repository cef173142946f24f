"""Where each voxel lies among the tissues: the axis over which an appearance holds its curves."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from DiffUSLib.acoustics.anchors import Anchor
from DiffUSLib.acoustics.curves import interpolate
from DiffUSLib.acoustics.tissue import tissue

AXES = {
    "mri": "0 fluid, 1 gray matter, 2 white matter, 3 as much brighter than it as fluid is darker (contrast agent)",
    "ct": "Hounsfield units",
    "labels": "tissues by name",
}
"""The kinds of axes, and what their positions mean."""

MRI_RANGE = (-1.0, 4.0)
_MOST_CONTRAST, _TYPICAL_CONTRAST = 1.2, 0.15
"""Steps from gray to white matter over that from fluid to gray matter in T1: the largest to be believed (0.1 to 0.7 in
MPRAGE and spin echo), and half of a small one."""


@dataclass(frozen=True)
class TissueAxis:
    """Positions of voxels on an axis of tissues.

    Args:
        kind: one of `AXES`.
        positions: (K, J, I) float32 position of each voxel; NaN where no curve applies (coupling medium, skull in an
            MRI). For "labels": the index in `names`.
        names: of "labels", the names of the tissues.
    """

    kind: str
    positions: torch.Tensor
    names: tuple[str, ...] = ()


def mri_axis(voxels: torch.Tensor, anchors: tuple[Anchor, ...], applies: torch.Tensor) -> TissueAxis | None:
    """The axis of an MRI without its bias field, or None where the anchors do not name fluid, gray and white matter.

    In T1 fluid is darkest; in T2 it is brightest and nothing lies beyond white matter.

    Args:
        voxels: (K, J, I) intensities.
        anchors: of the volume.
        applies: (K, J, I) bool, where curves apply.
    """
    found = {tissue(anchor.tissue).name: anchor.intensity for anchor in anchors}
    names = ("cerebrospinal fluid", "gray matter", "white matter")
    if not all(name in found for name in names):
        return None
    fluid, gray, white = (found[name] for name in names)
    if white - gray > _MOST_CONTRAST * (gray - fluid) > 0:
        # Contrast agent or fat was taken for white matter; what is called gray matter is all of the brain.
        white = gray + _TYPICAL_CONTRAST * (gray - fluid)
        gray -= _TYPICAL_CONTRAST * (gray - fluid)
    if fluid < gray < white:
        reach = white - fluid
        knots: tuple[float, ...] = (fluid - (gray - fluid), fluid, gray, white, white + 2 * reach)
        places: tuple[float, ...] = (MRI_RANGE[0], 0.0, 1.0, 2.0, MRI_RANGE[1])
    elif white < gray < fluid:
        knots, places = (white, gray, fluid, 2 * fluid - gray), (2.0, 1.0, 0.0, MRI_RANGE[0])
    else:
        return None
    positions = interpolate(voxels, knots, places)
    return TissueAxis("mri", positions.masked_fill(~applies, float("nan")))
