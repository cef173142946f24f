"""The commands of PLUS that a virtual scanner answers, each a piece of XML."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np

from DiffUSLib import __version__
from DiffUSLib.errors import DiffUSError
from DiffUSLib.serving.scanner import VirtualScanner

DEVICE_ID, CHANNEL_ID = "VirtualScanner", "VideoStream"
LARGEST_XML = 65_536


def answer(xml: str, scanner: VirtualScanner) -> tuple[bool, str]:
    """Carry out a command such as `<Command Name="GetTransform" TransformName="ProbeToReference"/>`.

    Returns:
        whether it worked, and the answer in words.
    """
    try:
        if len(xml) > LARGEST_XML or "<!" in xml:  # no entities: nothing from outside is expanded
            raise ElementTree.ParseError
        element = ElementTree.fromstring(xml)
    except ElementTree.ParseError:
        return False, "the command is no plain XML element"
    name = element.get("Name", "")
    try:
        if name == "Version":
            return True, f"DiffUS {__version__}"
        if name == "RequestDeviceIds":
            return True, DEVICE_ID
        if name == "RequestChannelIds":
            return True, CHANNEL_ID
        if name == "GetTransform":
            matrix = scanner.transform(element.get("TransformName", ""))
            return True, " ".join(f"{value:g}" for value in matrix.flatten())
        if name == "UpdateTransform":
            refused = scanner.update(element.get("TransformName", ""), _matrix(element.get("TransformValue", "")))
            return not refused, refused or "UpdateTransform completed successfully"
    except DiffUSError as error:
        return False, str(error)
    known = "GetTransform, RequestChannelIds, RequestDeviceIds, UpdateTransform, Version"
    return False, f"the command '{name}' is unknown; known are {known}"


def reply_xml(name: str, succeeded: bool, text: str) -> str:
    """The answer as PLUS wraps it."""
    status = "SUCCESS" if succeeded else "FAIL"
    attributes = {"Name": name, "Status": status, "Message" if succeeded else "Error": text}
    return ElementTree.tostring(ElementTree.Element("CommandReply", attributes), encoding="unicode")


def _matrix(text: str) -> np.ndarray:
    try:
        return np.array([float(part) for part in text.split()]).reshape(4, 4)
    except ValueError:
        raise DiffUSError("TransformValue must hold 16 numbers, row after row.") from None
