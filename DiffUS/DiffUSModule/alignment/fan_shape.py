"""The fan of an ultrasound image in the panel's values, and DiffUSLib's geometry of it."""

from dataclasses import replace

import numpy as np
from slicer.i18n import tr as _

from ..parameters.parameter_node import ProbeKind


def writeFan(shape, fan, pixelMm):
    """Show a FanGeometry in the panel's values (a FanShape); what its kind does not use keeps its value."""
    shape.kind = ProbeKind(fan.kind)
    shape.across, shape.down = (float(value * pixelMm) for value in fan.apex_px)
    shape.direction = float(fan.direction_deg)
    shape.depth = float((fan.far_px - fan.near_px) * pixelMm)
    if fan.kind == "linear":
        shape.width = float(2 * fan.half_width_px * pixelMm)
    else:
        shape.opening = float(2 * fan.half_angle_deg)
    if fan.kind == "curvilinear":
        shape.radius = float(fan.near_px * pixelMm)


def readFan(shape, found, pixelMm):
    """The FanGeometry that the panel's values describe, in the image of the one that was found."""
    isLinear = shape.kind == ProbeKind.LINEAR
    near = shape.radius / pixelMm if shape.kind == ProbeKind.CURVILINEAR else 0.0
    return replace(
        found,
        kind=shape.kind.value,
        apex_px=(shape.across / pixelMm, shape.down / pixelMm),
        direction_deg=shape.direction,
        half_angle_deg=0.0 if isLinear else shape.opening / 2,
        near_px=near,
        far_px=near + shape.depth / pixelMm,
        half_width_px=shape.width / 2 / pixelMm if isLinear else 0.0,
    )


def fanByHand(frames, parameters):
    """The FanGeometry that the user set for UltrasoundFrames; None if it is to be looked for."""
    if not parameters.fanByHand:
        return None
    import torch

    from DiffUSLib import square_pixels

    images, matrices = square_pixels(frames.images, torch.from_numpy(frames.imageToRas))
    return readFan(parameters.fan, wholeImage(images.shape[1:]), pixelSize(matrices.numpy()))


def wholeImage(shape):
    """A FanGeometry to start from where no fan was found: the whole image of this (rows, columns) shape."""
    from DiffUSLib import FanGeometry

    rows, columns = shape
    return FanGeometry(
        kind="linear",
        apex_px=((columns - 1) / 2, 0.0),
        direction_deg=90.0,
        half_angle_deg=0.0,
        near_px=0.0,
        far_px=rows - 1.0,
        half_width_px=(columns - 1) / 2,
        shape=shape,
        clip_px=(0.0, 0.0, columns - 1.0, rows - 1.0),
        confidence=0.0,
    )


def pixelSize(imageToRas):
    """Size in mm of the square pixels of (N, 4, 4) matrices."""
    return float(np.linalg.norm(imageToRas[:, :3, :2], axis=1).mean())


def describeFan(fan, pixelMm):
    """One line for the panel."""
    kind = {"curvilinear": _("Curvilinear"), "sector": _("Sector"), "linear": _("Linear")}[fan.kind]
    if fan.kind == "linear":
        size = _("{width:.0f} x {depth:.0f} mm").format(
            width=2 * fan.half_width_px * pixelMm, depth=(fan.far_px - fan.near_px) * pixelMm
        )
    else:
        size = _("{opening:.0f}°, {depth:.0f} mm deep").format(
            opening=2 * fan.half_angle_deg, depth=(fan.far_px - fan.near_px) * pixelMm
        )
    if not fan.is_sure:
        return _("{kind}, {size}; not sure: check the outline").format(kind=kind, size=size)
    return f"{kind}, {size}"
