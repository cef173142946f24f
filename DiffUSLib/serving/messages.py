"""OpenIGTLink messages, versions 1 to 3: what pyigtl lacks, and a reader that trusts no byte.

Layouts after the protocol's documentation (OpenIGTLink, Documents/Protocol: header, tdata, status, command).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from pyigtl import messages as igtl

HEADER_BYTES = igtl.MessageBase.IGTL_HEADER_SIZE
LARGEST_BODY_BYTES = 1 << 20
"""Of a message from a client: poses and commands are short, and a wrong length must not cost memory."""
NAME_BYTES = 20

STATUS_OK, STATUS_TIME_OUT, STATUS_UNKNOWN_INSTRUCTION, STATUS_NOT_READY = 1, 7, 12, 13


class BadMessage(Exception):
    """Bytes that are no OpenIGTLink message, and why, in a few words."""


@dataclass(frozen=True)
class Header:
    """The first 58 bytes of a message.

    Args:
        version: of the header: 1 (protocols 1 and 2) or 2 (protocol 3).
        kind: type of the message, such as "TRANSFORM".
        device_name: what the message is about, such as "ProbeToReference".
        body_bytes: length of what follows.
        checksum: CRC-64 of what follows.
    """

    version: int
    kind: str
    device_name: str
    body_bytes: int
    checksum: int


class StatusMessage(igtl.MessageBase):
    """How the scanner is: a code of the protocol, and a sentence."""

    def __init__(self, code: int = STATUS_OK, text: str = "", device_name: str = ""):
        super().__init__(device_name=device_name)
        self._message_type, self._valid_message = "STATUS", True
        self.code, self.text = code, text

    def _pack_content(self) -> bytes:
        name = b"OK" if self.code == STATUS_OK else b"Error"
        return struct.pack("> H q 20s", self.code, 0, name) + self.text.encode("ascii", "replace") + b"\0"

    def _unpack_content(self, content: bytes) -> None:
        self.code = struct.unpack("> H", content[:2])[0]
        self.text = content[30:].rstrip(b"\0").decode("ascii", "replace")


class TrackingDataMessage(igtl.MessageBase):
    """Poses of several tools at one time: name -> (4, 4)."""

    _ELEMENT = struct.Struct("> 20s B x 12f")

    def __init__(self, poses: dict[str, np.ndarray] | None = None, device_name: str = ""):
        super().__init__(device_name=device_name)
        self._message_type, self._valid_message = "TDATA", True
        self.poses = poses or {}

    def _pack_content(self) -> bytes:
        six_dimensional = 2
        return b"".join(
            self._ELEMENT.pack(name.encode("ascii"), six_dimensional, *np.asarray(pose)[:3].T.flatten())
            for name, pose in self.poses.items()
        )

    def _unpack_content(self, content: bytes) -> None:
        if len(content) % self._ELEMENT.size:
            raise BadMessage(f"a TDATA body of {len(content)} bytes")
        self.poses = {}
        for name, _, *values in self._ELEMENT.iter_unpack(content):
            self.poses[_text(name)] = _matrix(values)


class CommandMessage(igtl.MessageBase):
    """A command of protocol 3 in XML, or (kind "RTS_COMMAND") the reply to one."""

    _HEAD = struct.Struct("> I 20s H I")

    def __init__(self, command_id: int = 0, name: str = "", content: str = "", device_name: str = "", reply=False):
        super().__init__(device_name=device_name)
        self._message_type, self._valid_message = "RTS_COMMAND" if reply else "COMMAND", True
        self.header_version = 2
        self.command_id, self.name, self.content = command_id, name, content

    def _pack_content(self) -> bytes:
        text = self.content.encode("ascii", "replace")
        ascii_set = igtl.MessageBase.IANA_CHARACTER_SET_ASCII
        return self._HEAD.pack(self.command_id, self.name.encode("ascii", "replace"), ascii_set, len(text)) + text

    def _unpack_content(self, content: bytes) -> None:
        self.command_id, name, _, length = self._HEAD.unpack(content[: self._HEAD.size])
        self.name, self.content = _text(name), _text(content[self._HEAD.size :][:length])


_CLASSES = {
    "TRANSFORM": igtl.TransformMessage,
    "STRING": igtl.StringMessage,
    "TDATA": TrackingDataMessage,
    "STATUS": StatusMessage,
    "COMMAND": CommandMessage,
    "RTS_COMMAND": CommandMessage,
}


def read_header(data: bytes) -> Header:
    """The header of a message.

    Raises:
        BadMessage: if these 58 bytes are none.
    """
    version, kind, name, _, body_bytes, checksum = struct.unpack("> H 12s 20s Q Q Q", data)
    if version not in (1, 2, 3) or not all(32 <= byte < 127 for byte in kind.rstrip(b"\0")) or not kind[0]:
        raise BadMessage("no OpenIGTLink header")
    if body_bytes > LARGEST_BODY_BYTES:
        raise BadMessage(f"a body of {body_bytes} bytes")
    return Header(version, _text(kind), _text(name), body_bytes, checksum)


def read_message(header: Header, body: bytes) -> igtl.MessageBase | None:
    """The message of a header and its body; None if it is of a kind that is not known here.

    Raises:
        BadMessage: if the checksum or the content is wrong.
    """
    if header.checksum not in (0, igtl.CRC64(body)):  # 0: senders that leave it out
        raise BadMessage("a wrong checksum")
    if header.kind not in _CLASSES:
        return None
    message = _CLASSES[header.kind]()
    fields = {"header_version": header.version, "message_type": header.kind, "device_name": header.device_name}
    try:
        message.unpack({**fields, "timestamp": 0.0}, body)
    except (struct.error, UnicodeDecodeError, ValueError, IndexError, TypeError, KeyError):
        raise BadMessage(f"a damaged {header.kind}") from None
    return message


def _text(data: bytes) -> str:
    """Characters up to the first zero; what is not ASCII is shown as such."""
    return data.split(b"\0")[0].decode("ascii", "replace").strip()


def _matrix(values: list[float]) -> np.ndarray:
    """(4, 4) of twelve numbers, column after column."""
    matrix = np.eye(4)
    matrix[:3] = np.reshape(values, (4, 3)).T
    return matrix
