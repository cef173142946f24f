"""Mouse events in Slicer's views, as from a person's hand: through the interactor of the view, in display pixels."""

import slicer
import vtk

STEPS = 8


def clickInSlice(name, ras):
    """Click where a RAS position, in mm, is seen in a slice view; it is dropped onto the slice."""
    view = slicer.app.layoutManager().sliceWidget(name).sliceView()
    position = _inSlice(view, ras)
    _drag(view, position, position)


def dragInSlice(name, startRas, endRas):
    """Drag from one RAS position to another with the left button."""
    view = slicer.app.layoutManager().sliceWidget(name).sliceView()
    _drag(view, _inSlice(view, startRas), _inSlice(view, endRas))


def dragIn3D(startRas, endRas):
    """The same in the 3D view."""
    view = slicer.app.layoutManager().threeDWidget(0).threeDView()
    _drag(view, _in3D(view, startRas), _in3D(view, endRas))


def _inSlice(view, ras):
    toDisplay = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(view.mrmlSliceNode().GetXYToRAS(), toDisplay)
    return toDisplay.MultiplyPoint([*ras, 1.0])[:2]


def _in3D(view, ras):
    renderer = view.renderWindow().GetRenderers().GetFirstRenderer()
    renderer.SetWorldPoint(*ras, 1.0)
    renderer.WorldToDisplay()
    return renderer.GetDisplayPoint()[:2]


def _drag(view, start, end):
    """Handles are found where they were drawn last, hence the frame before."""
    slicer.app.processEvents()
    view.forceRender()
    interactor = view.interactor()
    _send(interactor, "EnterEvent", start)
    _send(interactor, "MouseMoveEvent", start)
    _send(interactor, "LeftButtonPressEvent", start)
    for step in range(1, STEPS + 1):
        share = step / STEPS
        _send(interactor, "MouseMoveEvent", [a + (b - a) * share for a, b in zip(start, end, strict=True)])
        slicer.app.processEvents()
    _send(interactor, "LeftButtonReleaseEvent", end)
    slicer.app.processEvents()


def _send(interactor, event, position):
    interactor.SetEventInformation(round(position[0]), round(position[1]), 0, 0)
    interactor.InvokeEvent(event)
