"""Dialogs without a person: what they said is kept, what they ask is answered by the test."""

from PySide6 import QtWidgets

from .failures import failures

messages = []  # texts of message boxes shown so far
_answers = []  # what the next message boxes return; without one, the default button
_fileNames = []  # what the next file dialogs return


def reset():
    """Forget messages and answers."""
    for items in (messages, _answers, _fileNames):
        items.clear()


def answerNext(button):
    """The next message box returns this button, for instance qt.QMessageBox.Yes."""
    _answers.append(button)


def chooseNextFile(path):
    """The next file dialog returns this path."""
    _fileNames.append(str(path))


def chooseNextFiles(paths):
    """The next dialog for several files returns these paths."""
    _fileNames.append(tuple(str(path) for path in paths))


def answerMessage(text, box):
    """Keep the text; the answer of the test, or the button that Escape or Return would press."""
    messages.append(text)
    if _answers:
        return _answers.pop(0)
    return QtWidgets.QMessageBox.Ok


def answerFileName(*arguments):
    """In the place of QFileDialog's static functions."""
    if not _fileNames:
        failures.record("a file dialog opened, and the test has not said what it should return")
        return ""
    return _fileNames.pop(0)


def install(qt):
    """Give the module `qt` file dialogs that return at once, in PythonQt's form: a plain string, or several."""
    for name in ("getSaveFileName", "getOpenFileName", "getOpenFileNames", "getExistingDirectory"):
        setattr(qt.QFileDialog, name, staticmethod(answerFileName))
