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


def _item(content):
    """An item as large as its neighbors; without any size QSplitter squeezes plots to a strip."""
    return f'<item splitSize="500">{content}</item>'


def _view(className, tag, **properties):
    described = [f'<property name="{name}" action="default">{value}</property>' for name, value in properties.items()]
    return _item(f'<view class="{className}" singletontag="{tag}">{"".join(described)}</view>')


def _slice(tag, label, color):
    return _view("vtkMRMLSliceNode", tag, orientation="Axial", viewlabel=label, viewcolor=color)


def _plot(tag, label):
    return _view("vtkMRMLPlotViewNode", tag, viewlabel=label)


def _rows(*rows):
    """Rows of views, one below the other."""
    items = (_item(f'<layout type="horizontal" split="true">{"".join(views)}</layout>') for views in rows)
    return f'<layout type="vertical" split="true">{"".join(items)}</layout>'


_THREE_D = _view("vtkMRMLViewNode", "1", viewlabel="1")
_RED = _slice("Red", "R", RED_COLOR)
_IMAGE_AND_RESLICE = (
    _slice(IMAGE_VIEW, "US", ULTRASOUND_COLOR),
    _slice(RESLICE_VIEW, "-", PATIENT_COLOR),
)

IMAGE_LAYOUT = Layout(7294, _rows(_IMAGE_AND_RESLICE, (_THREE_D, _RED)))
"""The live image, the same plane of the volume, 3D and an axial slice."""
ALIGNMENT_LAYOUT = Layout(
    7295,
    _rows(
        (_slice(OVERLAY_VIEW, "US", ULTRASOUND_COLOR), _slice(PATIENT_VIEW, "-", PATIENT_COLOR)),
        (_THREE_D, _plot(SCORE_VIEW, "Score")),
    ),
)
"""Both images in one, the same plane of the volume, 3D and the score."""
CURVE_WITH_IMAGE_LAYOUT = Layout(7296, _rows(_IMAGE_AND_RESLICE, (_THREE_D, _plot(CURVE_VIEW, "Curve"))))
"""The impedance curve in the place of the axial slice."""
CURVE_LAYOUT = Layout(7297, _rows((_THREE_D, _RED), (_plot(CURVE_VIEW, "Curve"),)))
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
