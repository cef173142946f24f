"""Acoustic maps from MRI: the intensities of the volume itself tell its tissues apart."""

from __future__ import annotations

import numpy as np
import torch

from DiffUSLib.acoustics.anchors import Anchor, check_modality, measure
from DiffUSLib.acoustics.decision import VolumeDecision
from DiffUSLib.acoustics.head import Head, close_gaps, find_head, find_intracranial, upsample
from DiffUSLib.acoustics.maps import AcousticMaps
from DiffUSLib.acoustics.network import ImpedanceNetwork, train_network
from DiffUSLib.acoustics.tissue import Tissue, tissue
from DiffUSLib.acoustics.tissue_axis import mri_axis
from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.volume import Volume, check_not_constant

_TABLE_SIZE = 4096
_BACKGROUND = 0.01  # of the brightest anchor: below is background
_DIPLOE_MM = 4.0


def maps_from_mri(
    volume: Volume,
    modality: str,
    anchors: tuple[Anchor, ...] | None = None,
    seed: int = 0,
    network: ImpedanceNetwork | None = None,
    skull: bool = True,
    head: Head | None = None,
) -> AcousticMaps:
    """Acoustic maps of an MRI of the head, with or without its skull. Differentiable to the voxels.

    Intensities become impedance, attenuation and echogenicity through a network trained on the anchors. Outside of
    the head is the coupling medium. In a whole head, what is dark outside of the brain is cortical bone.

    Args:
        volume: the MRI, intensities in any unit.
        modality: "t1", "t1c" (contrast T1), "t2" or "flair".
        anchors: intensities of known tissues; measured in the volume by default, see `measure_anchors`.
        seed: of the network's training.
        skull: look for bone in a whole head; without it, all of the head is mapped by intensity, as for ultrasound
            through an open skull.
        head: where `find_head` found it; it is looked for by default.
        network: a trained network, used instead of training one; gradients reach its weights if they ask for them.

    Raises:
        DiffUSError: if the modality is unknown, the volume is constant, or no head or no tissues are found in it.
    """
    check_modality(modality)
    check_not_constant(volume)
    head = find_head(volume) if head is None else head
    notes = []
    given = anchors is not None or network is not None
    try:
        measured, bias = measure(volume, modality, head)
    except DiffUSError:
        if anchors is None and network is None:
            raise
        measured, bias = (), None
    if network is None:
        network = train_network(measured if anchors is None else anchors, seed)
    anchors = network.anchors
    voxels = volume.voxels if volume.voxels.is_floating_point() else volume.voxels.to(torch.float32)
    if bias is not None and modality != "t2":
        low, high = np.percentile(bias[head.brain], [1, 99])
        notes.append(f"A smooth bias field of {low - 1:+.0%} to {high - 1:+.0%} in the brain was taken out.")
        voxels = head.zero + (voxels - head.zero) / upsample(bias, head, volume).to(voxels)
    channels = _look_up(network, voxels)
    outside = tissue("water")
    around = _around(volume, head, anchors)
    applies = ~around
    if head.whole_head and not skull:
        notes.append("No voxel was taken for bone: the ultrasound is taken through the open skull.")
    elif head.whole_head:
        bone_share = _bone_share(voxels - head.zero, volume, head, anchors)
        applies &= bone_share.detach() < 0.5
        hard = _values(tissue("cortical bone"))
        channels = [channel + (value - channel) * bone_share for channel, value in zip(channels, hard, strict=True)]
        notes.append(
            "Skull and scalp are in the volume: outside of the brain, dark voxels were taken for cortical bone (MRI "
            "shows bone and air alike); scalp and muscle are mapped as if they were brain of that intensity."
        )
    else:
        notes.append("The skull was found to be stripped.")
    pairs = zip(channels, _values(outside), strict=True)
    impedance, attenuation, echogenicity = (torch.where(around, value, channel) for channel, value in pairs)
    notes.append(f"The background is the coupling medium ({outside.name}).")
    surroundings = "present" if head.whole_head else "stripped"
    decision = VolumeDecision(modality, skull=surroundings, anchors=anchors, anchors_given=given)
    axis = mri_axis(voxels.detach(), anchors, applies)
    ijk_to_ras = volume.ijk_to_ras
    return AcousticMaps(
        impedance, attenuation, echogenicity, ijk_to_ras, outside, modality, tuple(notes), network, decision, axis
    )


def _look_up(network: ImpedanceNetwork, voxels: torch.Tensor) -> list[torch.Tensor]:
    """The network on every voxel, through a table: faster, its steps are finer than any noise, and differentiable."""
    first, last = network.anchors[0].intensity, network.anchors[-1].intensity
    device = network.lowest.device
    table = network(torch.linspace(first, last, _TABLE_SIZE, device=device)).to(voxels)
    place = ((voxels - first) * ((_TABLE_SIZE - 1) / (last - first))).clamp(0.0, _TABLE_SIZE - 1.0)
    index = place.detach().to(torch.int32).clamp_max_(_TABLE_SIZE - 2)
    share = place - index
    slopes = table.diff(dim=0)
    return [table[:, channel][index] + slopes[:, channel][index] * share for channel in range(3)]


def _values(row: Tissue) -> tuple[float, float, float]:
    return row.impedance_mrayl, row.attenuation_db_cm_mhz, row.echogenicity


def _matter(anchors: tuple[Anchor, ...], zero: float) -> tuple[float, float, float]:
    """Lowest and highest signal of gray and white matter, and the signal below which bone is likely."""
    names = [tissue(anchor.tissue).name for anchor in anchors]
    signals = [anchor.intensity - zero for anchor in anchors]
    matter = [
        signal for name, signal in zip(names, signals, strict=True) if name in ("gray matter", "white matter", "brain")
    ]
    dark, bright = (min(matter), max(matter)) if matter else (signals[0], signals[-1])
    fluid = next((signal for name, signal in zip(names, signals, strict=True) if name == "cerebrospinal fluid"), 0.0)
    if fluid < dark:  # T1
        return (fluid + dark) / 2, 2.0 * bright, 0.8 * fluid
    return 0.6 * dark, (bright + fluid) / 2, 0.4 * dark


def _bone_share(signal, volume: Volume, head: Head, anchors) -> torch.Tensor:
    """(K, J, I) share of bone: what lies between brain and background and is dark."""
    lowest, highest, dark = _matter(anchors, head.zero)
    inside = find_intracranial(head, (lowest, highest))
    bone = head.mask & ~inside & (head.intensities < dark)
    bone = close_gaps(bone, head.spacing_mm, _DIPLOE_MM) & head.mask & ~inside
    bone_share = upsample(bone, head, volume).to(signal)
    darkness = ((1.3 * dark - signal) / (0.6 * dark)).clamp(0.0, 1.0)
    bone_share = torch.maximum(bone_share, darkness)
    return bone_share * (1.0 - upsample(inside, head, volume).to(signal))


def _around(volume: Volume, head: Head, anchors) -> torch.Tensor:
    """Mask of what lies outside of the head: background values at its border, and everything further out."""
    depth = upsample(head.depth_mm, head, volume)
    coarse = max(head.spacing_mm)
    if head.whole_head:
        return depth < 0.0
    voxels = volume.voxels.detach()
    background = voxels <= head.zero + _BACKGROUND * (anchors[-1].intensity - head.zero)
    if head.background is not None:
        background |= voxels == head.background
    return (background & (depth < 3.0 * coarse)) | (depth < -2.0 * coarse)
