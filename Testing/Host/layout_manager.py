"""Stand-ins for Slicer's layout manager and its view widgets, over the host's real views."""

import slicer
import vtk

from .layout_geometry import viewRectangles
from .plot_render_view import PlotRenderView
from .slice_controller import SliceController
from .slice_render_view import SliceRenderView
from .stand_in import StandIn
from .threed_render_view import ThreeDRenderView


class SliceView(StandIn, realClass="qMRMLSliceView"):
    """qMRMLSliceView."""

    def __init__(self, renderView):
        super().__init__()
        self.hostView = renderView

    def scheduleRender(self):
        self.hostView.isOutdated = True

    def forceRender(self):
        self.hostView.render()

    def renderWindow(self):
        return self.hostView.window

    def interactor(self):
        return self.hostView.interactor

    def displayableManagerByClassName(self, className):
        return self.hostView.displayableManager(className)

    def mrmlSliceNode(self):
        return self.hostView.node

    def sliceViewInteractorStyle(self):
        return self.hostView.style


class ThreeDView(StandIn, realClass="qMRMLThreeDView"):
    """qMRMLThreeDView."""

    def __init__(self, renderView):
        super().__init__()
        self.hostView = renderView

    scheduleRender = SliceView.scheduleRender
    forceRender = SliceView.forceRender
    renderWindow = SliceView.renderWindow
    interactor = SliceView.interactor
    displayableManagerByClassName = SliceView.displayableManagerByClassName

    def mrmlViewNode(self):
        return self.hostView.node

    def cameraNode(self):
        return self.hostView.cameraNode()

    def resetFocalPoint(self):
        self.hostView.resetFocalPoint()


class SliceWidget(StandIn, realClass="qMRMLSliceWidget"):
    """qMRMLSliceWidget."""

    def __init__(self, renderView):
        super().__init__()
        self.hostView = renderView
        self._sliceView = SliceView(renderView)
        self._hostController = SliceController(renderView.sliceLogic)

    def sliceView(self):
        return self._sliceView

    def sliceLogic(self):
        return self.hostView.sliceLogic

    def mrmlSliceNode(self):
        return self.hostView.node

    def mrmlSliceCompositeNode(self):
        return self.hostView.sliceLogic.GetSliceCompositeNode()

    def fitSliceToBackground(self):
        self.hostView.fit()


class ThreeDWidget(StandIn, realClass="qMRMLThreeDWidget"):
    """qMRMLThreeDWidget."""

    def __init__(self, renderView):
        super().__init__()
        self.hostView = renderView
        self._threeDView = ThreeDView(renderView)

    def threeDView(self):
        return self._threeDView

    def mrmlViewNode(self):
        return self.hostView.node

    def viewLogic(self):
        return self.hostView.viewLogic


class LayoutManager(StandIn, realClass="qSlicerLayoutManager"):
    """qSlicerLayoutManager: makes a view for each view node of the current layout, and keeps it."""

    def __init__(self, sceneAndLogics, size):
        super().__init__()
        self._logics = sceneAndLogics
        self._size = size
        self._slices, self._threeDs, self._plots = {}, {}, {}  # by layout name
        self._visible = []  # (view, rectangle) of the current layout
        sceneAndLogics.layoutLogic.SetMRMLScene(sceneAndLogics.scene)
        self._node = sceneAndLogics.layoutLogic.GetLayoutNode()
        self._node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._onLayoutModified)
        self._arrangement = None
        self._node.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self._onLayoutModified()

    def _onLayoutModified(self, caller=None, event=None):
        current = (self._node.GetViewArrangement(), self._node.GetCurrentLayoutDescription(), self._size)
        if current == self._arrangement:
            return
        self._arrangement = current
        self._visible = []
        for view in [*self._slices.values(), *self._threeDs.values()]:
            view.hostView.node.SetMappedInLayout(False)
        for className, tag, rectangle in viewRectangles(current[1], *self._size):
            view = self._viewOf(className, tag, rectangle[2:])
            self._logics.scene.GetSingletonNode(tag, className).SetMappedInLayout(True)
            if view:
                view.resize(*rectangle[2:])
                self._visible.append((view, rectangle))
        self.hostSignal("layoutChanged(int)")(current[0])

    def _viewOf(self, className, tag, size):
        scene, logic = self._logics.scene, self._logics.applicationLogic
        node = scene.GetSingletonNode(tag, className)
        if className == "vtkMRMLSliceNode":
            if tag not in self._slices:
                self._slices[tag] = SliceWidget(SliceRenderView(scene, logic, node, size))
            return self._slices[tag].hostView
        if className == "vtkMRMLViewNode":
            if tag not in self._threeDs:
                self._threeDs[tag] = ThreeDWidget(ThreeDRenderView(scene, logic, node, size))
            return self._threeDs[tag].hostView
        if className == "vtkMRMLPlotViewNode":
            if tag not in self._plots:
                self._plots[tag] = PlotRenderView(node, size)
            return self._plots[tag]
        return None  # a table: its node is real, its view is not drawn here

    def hostVisibleViews(self):
        """(view, (left, top, width, height)) of each slice, 3D and plot view of the current layout."""
        return list(self._visible)

    def hostView(self, name):
        """The view of a layout name: a slice view ("Red"), a 3D view ("1") or a plot view."""
        return self._plots[name] if name in self._plots else (self._slices.get(name) or self._threeDs[name]).hostView

    def hostResize(self, width, height):
        """Another size of the whole view area."""
        self._size = (width, height)
        self._onLayoutModified()

    def hostClose(self):
        for widget in [*self._slices.values(), *self._threeDs.values()]:
            widget.hostView.close()
        for view in self._plots.values():
            view.close()

    def layoutLogic(self):
        return self._logics.layoutLogic

    @property
    def layout(self):
        return self._node.GetViewArrangement()

    @layout.setter
    def layout(self, identifier):
        self.setLayout(identifier)

    def setLayout(self, identifier):
        self._node.SetViewArrangement(identifier)

    def sliceViewNames(self):
        return tuple(sorted(self._slices))  # the real one keeps them in a map

    def sliceWidget(self, name):
        return self._slices.get(name)

    @property
    def threeDViewCount(self):
        return len(self._threeDs)

    def threeDWidget(self, indexOrName):
        if isinstance(indexOrName, str):
            return self._threeDs.get(indexOrName)
        widgets = list(self._threeDs.values())
        return widgets[indexOrName] if indexOrName < len(widgets) else None

    def activeMRMLThreeDViewNode(self):
        widgets = list(self._threeDs.values())
        return widgets[0].mrmlViewNode() if widgets else None

    def mrmlSliceLogics(self):
        return self._logics.applicationLogic.GetSliceLogics()

    def mrmlViewLogics(self):
        return self._logics.applicationLogic.GetViewLogics()

    def mrmlScene(self):
        return self._logics.scene

    def resetThreeDViews(self):
        for widget in self._threeDs.values():
            widget.hostView.resetFocalPoint()

    def resetSliceViews(self):
        for widget in self._slices.values():
            widget.hostView.fit()
