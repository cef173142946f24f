"""What all sections share."""

from typing import ClassVar

from ..live.messages import explain


class Section:
    """One part of the panel.

    Attributes:
        panel: name of its file in Resources/UI, or None if its widgets are in the file of another section.

    Args:
        ui: the widgets of the .ui file by name.
        session: see session.Session.
    """

    panel: ClassVar[str | None] = None

    def __init__(self, ui, session):
        self.ui, self.session = ui, session

    def update(self):
        """Show the session's state."""

    def open(self):
        """The module is entered."""

    def close(self):
        """The module is left."""

    def end(self):
        """The panel goes away, after it was left: observe nothing any more."""

    def attempt(self, action, *arguments):
        """Do what the user asked for; a mistake becomes a sentence in the panel."""
        self.session.say("")
        try:
            action(*arguments)
        except Exception as error:
            self.session.say(explain(error))


def setShown(widget, isShown, section):
    """Show or hide a widget of a collapsible section; in a collapsed one it stays hidden."""
    widget.setVisible(isShown and not section.collapsed)


def setIfDifferent(widget, name, value):
    """Set a Qt property; the widget is left alone if it has the value."""
    if getattr(widget, name) != value:
        setattr(widget, name, value)
