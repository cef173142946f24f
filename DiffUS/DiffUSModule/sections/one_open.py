"""Of the parts of the panel that are seldom needed one is open at a time, so that the others stay on the screen."""

from .section import Section

EXCLUSIVE = (
    "curveSection", "moveSection", "shapeSection", "advancedSection", "needleSection", "keepSection", "streamSection",
    "matchSection", "alignSection", "brainShiftSection",
)  # fmt: skip


class OneOpen(Section):
    """Closes the part that was open when another one is opened."""

    def __init__(self, ui, session):
        super().__init__(ui, session)
        self._parts = [getattr(ui, name) for name in EXCLUSIVE]
        for part in self._parts:
            part.connect("contentsCollapsed(bool)", lambda isCollapsed, part=part: self.onCollapsed(part, isCollapsed))

    def onCollapsed(self, part, isCollapsed):
        if isCollapsed:
            return
        for other in self._parts:
            if other is not part:
                other.collapsed = True
