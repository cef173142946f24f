"""Nothing of a closed connection stays on the parameter node, whatever Slicer's own disconnectGui leaves."""

import gc


class Leaky:
    """A typed parameter node as Slicer 5.10 makes it: disconnectGui forgets an observer that holds the object."""

    def __init__(self, parameterNode):
        self.parameterNode, self.updates = parameterNode, 0

    def AddObserver(self, event, callback, priority=0.0):
        return self.parameterNode.AddObserver(event, callback, priority)

    def connectGui(self, ui):
        self.AddObserver("ModifiedEvent", lambda caller, event: self.update())
        return 0

    def disconnectGui(self, tag):
        pass

    def update(self):
        self.updates += 1


def test_no_observer_stays_and_the_node_may_live_on(host, widget):
    """Without it the last line ends the process: the garbage collection has emptied the observer's function."""
    import slicer
    from DiffUSModule.parameters.gui_connection import GuiConnection

    def work():
        parameters = Leaky(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "parameters"))
        connection = GuiConnection(parameters, None)
        parameters.parameterNode.Modified()
        assert parameters.updates == 1
        connection.close()
        assert not parameters.parameterNode.HasObserver("ModifiedEvent")

    work()
    gc.collect()
    slicer.util.getNode("parameters").Modified()
