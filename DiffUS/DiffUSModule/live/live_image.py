"""The image of the active transducer: rendered when something changed, put into the scene, and its views aligned."""

from slicer.i18n import tr as _

from ..parameters.probe_settings import probeFromParameters, renderSettingsFromParameters
from ..views.slice_redraw import redrawSlices
from .live_renderer import LiveRenderer
from .messages import explain
from .signal import Signal

LEAST_COVERAGE = 0.01
"""Share of the fan within the volume below which the image shows nothing."""


class LiveImage:
    """Probe, settings and maps in, an image in the scene out.

    Attributes:
        shown: signal with (pixels, pose): a new image is in the scene; the pose is that which it was rendered for.
        renderer: LiveRenderer.
        layout: ImageLayout.
        probe: DiffUSLib's Probe as the panel describes it, or None.

    Args:
        active: see active_transducer.ActiveTransducer.
        needle: see active_needle.ActiveNeedle.
        say: function that shows a sentence to the user.
    """

    def __init__(self, layout, active, needle, say):
        self.shown, self.probe = Signal(), None
        self._active, self._say = active, say
        self._settings = None
        self.layout = layout
        self.renderer = LiveRenderer(lambda: active.transducer.pose(), needle.placed)
        self.renderer.rendered.connect(self._onRendered)
        self.renderer.failed.connect(lambda error: say(explain(error)))

    def update(self, parameters):
        """Probe and settings as the parameters want them."""
        try:
            probe = probeFromParameters(parameters)
        except ValueError as error:
            self._say(explain(error))
        else:
            if probe != self.probe:
                self.probe = probe
                self.renderer.setProbe(probe)
                self.layout.fit(probe.extent_mm())
            self._active.setProbe(parameters.preset, probe)
        if self._active.transducer is None:  # settings need torch, whose import takes seconds: not before the first
            return
        try:
            settings = renderSettingsFromParameters(parameters)
        except ValueError as error:
            self._say(explain(error))
            return
        if settings != self._settings:
            self._settings = settings
            self.renderer.setSettings(settings)

    def updateLayout(self, parameters, modality):
        """Show the layout if it is wanted, and in its views what the parameters want.

        Args:
            modality: DiffUSLib's name of what the volume's intensities mean, or "auto".
        """
        wanted = parameters.imageLayout and self._active.transducer is not None
        if wanted and not self.layout.isShown:
            self.layout.show()
            self.layout.fit(self.probe.extent_mm())
        elif not wanted:
            self.layout.hide()
        image = self._active.transducer.image if self._active.transducer else None
        self.layout.setVolumes(image, parameters.volume, parameters.overlay, modality)

    def close(self):
        """Nothing is rendered until there are parameters again."""
        self.renderer.stop()
        self.renderer.setMaps(None)
        self.probe = self._settings = None

    def _onRendered(self, frame):
        transducer = self._active.transducer
        if transducer is None:  # gone while the image was under way
            return
        transducer.setImage(frame.pixels, frame.imageToTransducer)
        redrawSlices(transducer.image, self.layout.align(transducer.pose(), self.probe.extent_mm()))
        outside = _("The transducer does not look at the volume; move it or snap it to a surface.")
        self._say(outside if frame.coverage < LEAST_COVERAGE else frame.warning)
        self.shown.emit(frame.pixels, frame.wish.pose)
