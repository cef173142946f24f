"""Everything that the scene file must bring back."""

from enum import Enum
from typing import Annotated, Union

import slicer.parameterNodeWrapper as wrapper
from slicer import (
    vtkMRMLLinearTransformNode,
    vtkMRMLMarkupsLineNode,
    vtkMRMLScalarVolumeNode,
    vtkMRMLSegmentationNode,
    vtkMRMLSequenceBrowserNode,
    vtkMRMLTextNode,
)
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange


class Modality(Enum):
    """What the intensities of the volume mean; values are DiffUSLib's names."""

    AUTO = "auto"
    CT = "ct"
    T1 = "t1"
    T1_CONTRAST = "t1c"
    T2 = "t2"
    FLAIR = "flair"
    LABELS = "labels"

    def label(self):
        return {
            "auto": _("Automatic"),
            "ct": _("CT"),
            "t1": _("MRI, T1"),
            "t1c": _("MRI, T1 with contrast"),
            "t2": _("MRI, T2"),
            "flair": _("MRI, FLAIR"),
            "labels": _("Labels (segmentation)"),
        }[self.value]


class ProbeKind(Enum):
    """Shape of the fan; values are DiffUSLib's names."""

    CURVILINEAR = "curvilinear"
    SECTOR = "sector"
    LINEAR = "linear"

    def label(self):
        return {"curvilinear": _("Curvilinear"), "sector": _("Sector (phased)"), "linear": _("Linear")}[self.value]


class Propagation(Enum):
    """Models of the traveling wave; values are DiffUSLib's names."""

    SINGLE_SCATTER = "single_scatter"
    STEADY_STATE = "steady_state"
    REVERBERATION = "reverberation"

    def label(self):
        return {
            "single_scatter": _("Single echoes"),
            "steady_state": _("Steady state (paper)"),
            "reverberation": _("Reverberation"),
        }[self.value]


class Detail(Enum):
    """Samples along a scan line."""

    STANDARD = 200
    FINE = 400

    def label(self):
        return {200: _("Standard"), 400: _("Fine (slower)")}[self.value]


class AlignPreset(Enum):
    """How far an alignment looks; values are DiffUSLib's names."""

    QUICK = "quick"
    ROBUST = "robust"

    def label(self):
        return {"quick": _("Quick (a few mm off)"), "robust": _("Robust (centimeters off, slower)")}[self.value]


class Freedom(Enum):
    """What an alignment may change; values are DiffUSLib's names."""

    RIGID = "rigid"
    TRANSLATION = "translation"
    IN_PLANE = "in_plane"
    RIGID_AND_SCALE = "rigid_and_scale"

    def label(self):
        return {
            "rigid": _("Shift and turn"),
            "translation": _("Shift only"),
            "in_plane": _("Within the image plane"),
            "rigid_and_scale": _("Shift, turn and image size"),
        }[self.value]


class OverlayStyle(Enum):
    """How ultrasound and rendered image are shown in one; values are DiffUSLib's names."""

    CHECKERBOARD = "checkerboard"
    BLEND = "blend"
    SIDE_BY_SIDE = "side_by_side"

    def label(self):
        return {
            "checkerboard": _("Checkerboard"),
            "blend": _("Blend"),
            "side_by_side": _("Side by side"),
        }[self.value]


@wrapper.parameterPack
class FanShape:
    """The fan in an ultrasound image: lengths in mm from the image's upper left pixel, angles in degrees.

    across, down - where the scan lines meet; for a linear fan the middle of its face.
    direction - where the transducer looks: 90 is down, 0 is right.
    """

    kind: ProbeKind = ProbeKind.CURVILINEAR
    across: Annotated[float, WithinRange(-500.0, 500.0)] = 0.0
    down: Annotated[float, WithinRange(-500.0, 500.0)] = 0.0
    direction: Annotated[float, WithinRange(-180.0, 180.0)] = 90.0
    opening: Annotated[float, WithinRange(5.0, 170.0)] = 70.0
    radius: Annotated[float, WithinRange(0.1, 300.0)] = 20.0
    depth: Annotated[float, WithinRange(5.0, 500.0)] = 80.0
    width: Annotated[float, WithinRange(2.0, 500.0)] = 40.0


@wrapper.parameterPack
class ProbeGeometry:
    """The fan: lengths in mm, angle in degrees, frequency in MHz."""

    kind: ProbeKind = ProbeKind.CURVILINEAR
    fieldOfView: Annotated[float, WithinRange(5.0, 170.0)] = 69.0
    radius: Annotated[float, WithinRange(1.0, 120.0)] = 24.0
    width: Annotated[float, WithinRange(5.0, 120.0)] = 40.0
    depth: Annotated[float, WithinRange(10.0, 300.0)] = 80.0
    frequency: Annotated[float, WithinRange(0.5, 20.0)] = 6.5
    lines: Annotated[int, WithinRange(16, 512)] = 256


@wrapper.parameterNodeWrapper
class DiffUSParameterNode:
    """
    volume - the patient: MRI, CT, label map or segmentation.
    modality - what its intensities mean.
    anchors, anchorsVolume - anchors of the impedance curve as edited (edited_anchors.py), and of which volume.
    craniotomy, craniotomyVolume - the window in the skull (see craniotomy.py), and the volume it is in.
    transducer - the transform TransducerToRas of the active transducer.
    preset - name of the probe preset that the geometry came from.
    probe - the fan of the active transducer.
    line - entry and target points for placement.
    roll - turn about the central scan line in placement by the line, in degrees.
    trackedTransform - the transform that the transducer follows.
    showHandles - interaction handles in the views.
    showPatient - the patient's surface in the 3D view.
    live - the image follows the transducer.
    look, ownLook - name of a shipped look, and the one of the scene that takes its place.
    gain (dB), speckle, propagation, beamPlanes, detail - the image.
    scaleByHand, dynamicRange (dB), timeGain (dB/cm/MHz) - whether the user's values replace those of the look.
    overlay - opacity of the image over the volume, 0 to 1.
    imageLayout - the layout with live image, reslice and 3D view is shown while the module is open.
    ultrasound - what is aligned: a sequence browser, an image or a 3D ultrasound volume.
    alignPreset, freedom, alignFrames - how it is aligned.
    fan, fanByHand - the fan of its images, and whether the user sets it instead of what is found.
    needle - the transform NeedleToRas that the needle follows.
    showNeedle, needleLength (mm), needleDiameter (mm) - whether it is in the patient, and its size.
    streamPort, streamFollows - where programs find the image by OpenIGTLink; the transducer follows their pose.
    matchWithVolume - the volume behind the ultrasound is used to match the look.
    overlayStyle, overlayShare - how ultrasound and rendered image are shown in one; share of the rendered one.
    """

    volume: Union[vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode, None]  # noqa: UP007 - as documented for selectors
    modality: Modality = Modality.AUTO
    anchors: str = ""
    anchorsVolume: vtkMRMLScalarVolumeNode
    craniotomy: str = ""
    craniotomyVolume: Union[vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode, None]  # noqa: UP007
    transducer: vtkMRMLLinearTransformNode
    preset: str = "craniotomy_curvilinear"
    probe: ProbeGeometry
    line: vtkMRMLMarkupsLineNode
    roll: Annotated[float, WithinRange(-180.0, 180.0)] = 0.0
    trackedTransform: vtkMRMLLinearTransformNode
    showHandles: bool = True
    showPatient: bool = True
    live: bool = True
    look: str = "clinical"
    ownLook: vtkMRMLTextNode
    gain: Annotated[float, WithinRange(-40.0, 40.0)] = 0.0
    scaleByHand: bool = False
    dynamicRange: Annotated[float, WithinRange(20.0, 100.0)] = 60.0
    timeGain: Annotated[float, WithinRange(0.0, 2.0)] = 0.7
    speckle: bool = True
    propagation: Propagation = Propagation.SINGLE_SCATTER
    beamPlanes: Annotated[int, WithinRange(1, 5)] = 1
    detail: Detail = Detail.STANDARD
    overlay: Annotated[float, WithinRange(0.0, 1.0)] = 0.6
    imageLayout: bool = False
    needle: vtkMRMLLinearTransformNode
    showNeedle: bool = True
    needleLength: Annotated[float, WithinRange(10.0, 300.0)] = 120.0
    needleDiameter: Annotated[float, WithinRange(0.2, 5.0)] = 1.27
    streamPort: Annotated[int, WithinRange(1024, 65535)] = 18944
    streamFollows: bool = True
    ultrasound: Union[vtkMRMLScalarVolumeNode, vtkMRMLSequenceBrowserNode, None]  # noqa: UP007
    alignPreset: AlignPreset = AlignPreset.QUICK
    freedom: Freedom = Freedom.RIGID_AND_SCALE
    alignFrames: Annotated[int, WithinRange(1, 30)] = 7
    fan: FanShape
    fanByHand: bool = False
    matchWithVolume: bool = True
    overlayStyle: OverlayStyle = OverlayStyle.CHECKERBOARD
    overlayShare: Annotated[float, WithinRange(0.0, 1.0)] = 0.5
