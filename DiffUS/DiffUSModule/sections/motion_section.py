"""Sliders and keys that move the transducer in its own frame."""

import qt
import slicer

from ..live.transducer_placement import ProbeMotion
from .section import Section, setIfDifferent

MOTION_NAMES = ("pan", "push", "slide", "rock", "tilt", "rotate")
KEYS = {
    "Alt+Right": ("pan", 1.0),
    "Alt+Left": ("pan", -1.0),
    "Alt+Down": ("push", 1.0),
    "Alt+Up": ("push", -1.0),
    "Alt+PgUp": ("slide", 1.0),
    "Alt+PgDown": ("slide", -1.0),
    "Alt+Shift+Right": ("rock", 1.0),
    "Alt+Shift+Left": ("rock", -1.0),
    "Alt+Shift+Up": ("tilt", 1.0),
    "Alt+Shift+Down": ("tilt", -1.0),
    "Alt+Shift+PgUp": ("rotate", 1.0),
    "Alt+Shift+PgDown": ("rotate", -1.0),
}


class MotionSection(Section):
    """Six sliders, counted from where the transducer was placed last; one mm or degree per key press."""

    def __init__(self, ui, session):
        super().__init__(ui, session)
        self._motion = ProbeMotion(session)
        self._sliders = {name: getattr(ui, f"{name}Slider") for name in MOTION_NAMES}
        self._isUpdating, self._transducer = False, None
        self._shortcuts = []
        for slider in self._sliders.values():
            slider.connect("valueChanged(double)", self.onSlider)

    def update(self):
        transducer = self.session.transducer
        setIfDifferent(self.ui.moveSection, "enabled", transducer is not None)
        if transducer is not self._transducer:
            self._transducer = transducer
            self._motion.forget()
            self._toZero()
        elif transducer is not None and not self._isUpdating and not self._isWhereSlidersSay():
            self._motion.forget()
            self._toZero()

    def _isWhereSlidersSay(self):
        isAtZero = all(slider.value == 0 for slider in self._sliders.values())
        return isAtZero or self._motion.isAt(slicer.util.arrayFromTransformMatrix(self._transducer.transform, True))

    def _toZero(self):
        self._isUpdating = True
        for slider in self._sliders.values():
            slider.value = 0
        self._isUpdating = False

    def onSlider(self, value=None):
        if self._isUpdating or self.session.transducer is None:
            return
        self._isUpdating = True
        amounts = {name: slider.value for name, slider in self._sliders.items()}
        self.attempt(self._motion.apply, amounts)
        self._isUpdating = False

    def open(self):
        """Keys work while the module is open, and where there is a main window."""
        window = slicer.util.mainWindow()
        if window is None or self._shortcuts:
            return
        for keys, (name, amount) in KEYS.items():
            shortcut = qt.QShortcut(window)
            shortcut.setKey(qt.QKeySequence(keys))
            shortcut.connect("activated()", lambda name=name, amount=amount: self.onKey(name, amount))
            self._shortcuts.append(shortcut)

    def close(self):
        for shortcut in self._shortcuts:
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._shortcuts = []

    def onKey(self, name, amount):
        if self.session.transducer is not None:
            self._sliders[name].value = self._sliders[name].value + amount
