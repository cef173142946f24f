"""Every layout of the module: its number, its views and what they are called."""

from dataclasses import dataclass

IMAGE_VIEW, RESLICE_VIEW = "DiffUSImage", "DiffUSReslice"
OVERLAY_VIEW, PATIENT_VIEW = "DiffUSOverlay", "DiffUSPatient"
CURVE_VIEW, SCORE_VIEW = "DiffUSCurve", "DiffUSScore"
OWN_SLICE_VIEWS = (IMAGE_VIEW, RESLICE_VIEW, OVERLAY_VIEW, PATIENT_VIEW)
ULTRASOUND_COLOR, PATIENT_COLOR, RED_COLOR = "#E6B422", "#4A90D9", "#F34A33"


@dataclass(frozen=True)
class Layout:
    """A layout of Slicer: its number, which is unique among all layouts, and its description in XML."""

    identifier: int
    description: str


def _slice(tag, label, color):
    return (
        f'<item><view class="vtkMRMLSliceNode" singletontag="{tag}"><property name="orientation" action="default">'
        f'Axial</property><property name="viewlabel" action="default">{label}</property>'
        f'<property name="viewcolor" action="default">{color}</property></view></item>'
    )


def _plot(tag):
    return (
        f'<item><view class="vtkMRMLPlotViewNode" singletontag="{tag}"><property name="viewlabel" action="default">P'
        "</property></view></item>"
    )


def _rows(*rows):
    """Rows of views, one below the other."""
    row = '<item><layout type="horizontal" split="true">{}</layout></item>'
    return f'<layout type="vertical" split="true">{"".join(row.format("".join(views)) for views in rows)}</layout>'


_THREE_D = (
    '<item><view class="vtkMRMLViewNode" singletontag="1"><property name="viewlabel" action="default">1</property>'
    "</view></item>"
)
_RED = _slice("Red", "R", RED_COLOR)
_IMAGE_AND_RESLICE = (
    _slice(IMAGE_VIEW, "US", ULTRASOUND_COLOR),
    _slice(RESLICE_VIEW, "MR", PATIENT_COLOR),
)

IMAGE_LAYOUT = Layout(7294, _rows(_IMAGE_AND_RESLICE, (_THREE_D, _RED)))
"""The live image, the same plane of the volume, 3D and an axial slice."""
ALIGNMENT_LAYOUT = Layout(
    7295,
    _rows(
        (_slice(OVERLAY_VIEW, "US", ULTRASOUND_COLOR), _slice(PATIENT_VIEW, "MR", PATIENT_COLOR)),
        (_THREE_D, _plot(SCORE_VIEW)),
    ),
)
"""Both images in one, the same plane of the volume, 3D and the score."""
CURVE_WITH_IMAGE_LAYOUT = Layout(7296, _rows(_IMAGE_AND_RESLICE, (_THREE_D, _plot(CURVE_VIEW))))
"""The impedance curve in the place of the axial slice."""
CURVE_LAYOUT = Layout(7297, _rows((_THREE_D, _RED), (_plot(CURVE_VIEW),)))
"""The impedance curve without a live image."""

LAYOUTS = (IMAGE_LAYOUT, ALIGNMENT_LAYOUT, CURVE_WITH_IMAGE_LAYOUT, CURVE_LAYOUT)


def isOwn(identifier):
    """True for the number of a layout of the module."""
    return any(layout.identifier == identifier for layout in LAYOUTS)


def registerLayouts(layoutNode):
    """Make the layouts known: a scene saved with one of them has no views at all where it is unknown."""
    for layout in LAYOUTS:
        if not layoutNode.IsLayoutDescription(layout.identifier):
            layoutNode.AddLayoutDescription(layout.identifier, layout.description)
