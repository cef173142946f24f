"""The virtual scanner: it knows the newest transforms, and renders what the transducer sees there."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.pose import check_rigid
from DiffUSLib.io.chain import compose_chain
from DiffUSLib.io.images import to_uint8
from DiffUSLib.io.transform_names import split_transform_name
from DiffUSLib.rendering.needle import Needle
from DiffUSLib.rendering.renderer import Renderer

_FRAME = re.compile(r"[A-Za-z][A-Za-z0-9]*")

MOST_TRANSFORMS = 256
"""Names that are kept: a client that invents names must not fill the memory."""


@dataclass(frozen=True)
class Frame:
    """An image and its place.

    Args:
        pixels: (H, W) uint8.
        image_to_reference: (4, 4) float64 from (column, row, slice) to the Reference frame in mm.
    """

    pixels: np.ndarray
    image_to_reference: np.ndarray


class VirtualScanner:
    """Follows transforms by name and renders the newest pose. Its methods may be called from any thread.

    Frames are named as PLUS does: Image, Probe, Reference, Tracker, Ras. The pose is the chain from Probe to Ras; the
    Probe frame is the Transducer frame (mm) unless a calibration says otherwise.

    Args:
        renderer: of the patient.
        constants: (4, 4) transforms that no client need send, such as ReferenceToRas (without one, Reference is Ras)
            and ImageToProbe. Of ImageToProbe, place and directions count: the image keeps its own pixel size.
        needle_frame: of a tracked needle (tip at the origin, shaft along +Z); it is shown once a client sends where
            it is, such as NeedleToReference.

    Raises:
        DiffUSError: if a constant is not rigid, ImageToProbe has no directions, or the needle's frame is no name.
    """

    def __init__(
        self,
        renderer: Renderer,
        constants: Mapping[str, torch.Tensor] | None = None,
        needle_frame: str = "Needle",
    ):
        if not _FRAME.fullmatch(needle_frame):
            raise DiffUSError(f"'{needle_frame}' is no frame of a needle; give a name of letters and digits.")
        self._renderer, self._needle_frame = renderer, needle_frame
        self._lock = threading.Lock()
        constants = {name: matrix.to(torch.float64) for name, matrix in (constants or {}).items()}
        calibration = constants.pop("ImageToProbe", None)
        if not any(name.lower().endswith("toras") or name.lower().startswith("rasto") for name in constants):
            constants["ReferenceToRas"] = torch.eye(4, dtype=torch.float64)
        for name, matrix in constants.items():
            check_rigid(matrix, f"the constant transform {name}")
        self._constants = constants
        self._received: dict[str, torch.Tensor] = {}
        image_to_transducer = renderer.grid.image_to_transducer()
        self._transducer_to_probe = _transducer_to_probe(calibration, image_to_transducer)
        self._image_to_probe = self._transducer_to_probe @ image_to_transducer

    def update(self, name: str, matrix: np.ndarray) -> str:
        """Take a transform in; returns why it was refused, or "" if it was taken."""
        try:
            split_transform_name(name)
            pose = torch.as_tensor(np.asarray(matrix, dtype=np.float64))
            check_rigid(pose, name)
        except DiffUSError as error:
            return str(error)
        with self._lock:
            if name not in self._received and len(self._received) >= MOST_TRANSFORMS:
                return f"{name} is one name too many; {MOST_TRANSFORMS} are kept."
            self._received[name] = pose
        return ""

    def transform(self, name: str) -> np.ndarray:
        """(4, 4) transform of a name such as "ProbeToReference", through the chain of those known.

        Raises:
            DiffUSError: if it cannot be had.
        """
        return compose_chain(self._known(), *split_transform_name(name)).numpy()

    def frame(self) -> Frame:
        """Render the newest pose.

        Raises:
            DiffUSError: if no chain of transforms leads from Probe to Ras yet.
        """
        known = self._known()
        probe_to_ras = compose_chain(known, "Probe", "Ras")
        image_to_reference = compose_chain(known, "Image", "Reference").numpy()
        renderer = self._renderer.with_needle(self._needle(known))
        with torch.inference_mode():
            image = renderer(probe_to_ras @ self._transducer_to_probe).image[0]
        return Frame(to_uint8(image), image_to_reference)

    def _needle(self, known: Mapping[str, torch.Tensor]) -> Needle | None:
        try:
            return Needle(compose_chain(known, self._needle_frame, "Ras"))
        except DiffUSError:  # no client has sent one
            return None

    def _known(self) -> dict[str, torch.Tensor]:
        with self._lock:
            return {**self._received, **self._constants, "ImageToProbe": self._image_to_probe}


def _transducer_to_probe(calibration: torch.Tensor | None, image_to_transducer: torch.Tensor) -> torch.Tensor:
    """Where the transducer sits in the Probe frame, so that its face is seen where the calibration says."""
    if calibration is None:
        return torch.eye(4, dtype=torch.float64)
    pixel_mm = calibration[:3, :2].norm(dim=0)
    if not bool((pixel_mm > 0).all()):
        raise DiffUSError("ImageToProbe has no directions: its first two columns must hold the size of a pixel.")
    x, y = (calibration[:3, :2] / pixel_mm).T
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, 0], pose[:3, 1], pose[:3, 2] = x, y, torch.linalg.cross(x, y)
    # The face's middle lies where our own image has it, measured in pixels.
    face_px = torch.linalg.inv(image_to_transducer) @ torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=torch.float64)
    pose[:3, 3] = (calibration @ face_px)[:3]
    check_rigid(pose, "ImageToProbe, apart from its pixel size,")
    return pose
