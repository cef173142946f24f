"""An offscreen VTK window with Slicer's displayable managers, driven by mouse events as by a person."""

import slicer
import vtk
from vtkmodules.util.numpy_support import vtk_to_numpy


class RenderView:
    """What slice and 3D views share: window, interactor, displayable managers, pixels, mouse.

    Attributes:
        window: vtkRenderWindow, offscreen.
        renderer: vtkRenderer of the first layer.
        interactor: vtkRenderWindowInteractor; it takes its events from the methods here or from a Qt widget.
        isOutdated: True if something asked for a new frame since the last one.
    """

    def __init__(self, size):
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.ShowWindowOff()
        self.window.SetMultiSamples(0)
        self.window.SetSize(*size)
        self.renderer = vtk.vtkRenderer()
        self.window.AddRenderer(self.renderer)
        self.interactor = vtk.vtkRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.interactor.Initialize()
        self.group = slicer.vtkMRMLDisplayableManagerGroup()
        self.isOutdated = True
        self.frames = 0
        self._listeners = []

    def _addDisplayableManagers(self, factoryClass, names):
        factory = factoryClass.GetInstance()
        for name in names:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self.group.Initialize(factory, self.renderer)
        self.group.AddObserver(vtk.vtkCommand.UpdateEvent, self._onUpdate)

    def _onUpdate(self, caller=None, event=None):
        self.isOutdated = True
        for listener in self._listeners:
            listener()

    def onUpdate(self, listener):
        """Call `listener` whenever the view needs a new frame."""
        self._listeners.append(listener)

    def displayableManager(self, className):
        return self.group.GetDisplayableManagerByClassName(className)

    def render(self):
        """Draw a frame now."""
        self.isOutdated = False
        self.frames += 1
        self.window.Render()

    def renderIfOutdated(self):
        if self.isOutdated:
            self.render()

    def pixels(self):
        """(height, width, 3) uint8 of a fresh frame, first row on top."""
        self.render()
        width, height = self.window.GetSize()
        array = vtk.vtkUnsignedCharArray()
        self.window.GetPixelData(0, 0, width - 1, height - 1, 0, array, 0)
        return vtk_to_numpy(array).reshape(height, width, 3)[::-1].copy()

    def resize(self, width, height):
        if self.window.GetSize() != (width, height):
            self.window.SetSize(width, height)
            self._onUpdate()

    def sendMouse(self, event, x, y, control=False, shift=False):
        """One VTK mouse event at display coordinates (origin at the bottom left)."""
        self.interactor.SetEventInformation(int(x), int(y), int(control), int(shift))
        self.interactor.InvokeEvent(event)

    def move(self, x, y, **modifiers):
        self.sendMouse("MouseMoveEvent", x, y, **modifiers)

    def drag(self, start, end, steps=10, button="Left", **modifiers):
        """Press at `start`, move in steps to `end`, release; display coordinates."""
        self.move(*start, **modifiers)
        self.sendMouse(f"{button}ButtonPressEvent", *start, **modifiers)
        for step in range(1, steps + 1):
            x = start[0] + (end[0] - start[0]) * step / steps
            y = start[1] + (end[1] - start[1]) * step / steps
            self.move(x, y, **modifiers)
        self.sendMouse(f"{button}ButtonReleaseEvent", *end, **modifiers)

    def click(self, position, button="Left", **modifiers):
        """Press and release at display coordinates."""
        self.drag(position, position, 1, button, **modifiers)

    def close(self):
        """Let go of the scene and of the window."""
        self._listeners.clear()
        self.group.SetMRMLDisplayableNode(None)
        self.window.Finalize()
