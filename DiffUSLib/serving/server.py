"""An OpenIGTLink server of several clients: takes poses and sends the newest image, whatever a client does."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable

from pyigtl import messages as igtl

from DiffUSLib.errors import DiffUSError
from DiffUSLib.serving import commands
from DiffUSLib.serving.messages import (
    HEADER_BYTES,
    NAME_BYTES,
    STATUS_NOT_READY,
    STATUS_OK,
    STATUS_TIME_OUT,
    STATUS_UNKNOWN_INSTRUCTION,
    BadMessage,
    CommandMessage,
    StatusMessage,
    TrackingDataMessage,
    read_header,
    read_message,
)
from DiffUSLib.serving.scanner import Frame, VirtualScanner

IMAGE_NAME = "Image_Reference"
"""As PLUS names an image that carries its place in the Reference frame."""
DEFAULT_PORT = 18944
MOST_CLIENTS = 64
STALL_S = 10.0
"""A client that takes nothing for so long, or stops within a message, is let go."""
TRACKER_LOST_S = 2.0
_OLD_COMMAND = re.compile(r"CMD_(\w+)")


class Client:
    """One connection: what is to be sent, newest image first thrown away."""

    def __init__(self, writer: asyncio.StreamWriter):
        self.writer = writer
        self.name = "{}:{}".format(*writer.get_extra_info("peername")[:2])
        self.header_version = 1
        self.replies: list[bytes] = []
        self.image: bytes | None = None
        self.wake = asyncio.Event()

    def reply(self, message: igtl.MessageBase) -> None:
        """Queue an answer; a client that asks without reading is let go when it stalls."""
        if len(self.replies) < 1000:
            self.replies.append(message.pack())
        self.wake.set()

    def show(self, image: bytes) -> None:
        """Send this image next, instead of one that still waits."""
        self.image = image
        self.wake.set()

    async def send(self) -> None:
        """Send what there is, for ever."""
        while True:
            await self.wake.wait()
            self.wake.clear()
            data = b"".join(self.replies) + (self.image or b"")
            self.replies, self.image = [], None
            self.writer.write(data)
            await asyncio.wait_for(self.writer.drain(), STALL_S)


class Server:
    """Serves one virtual scanner.

    Args:
        scanner: what renders.
        host: address to listen at; only this machine reaches 127.0.0.1.
        port: 0 takes a free one.
        tell: is called with a sentence when something happens that a person may want to know.

    Attributes:
        port: the port that is listened at, once `run` has begun.
        ready: is set then.
    """

    def __init__(
        self,
        scanner: VirtualScanner,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        tell: Callable[[str], None] = print,
    ):
        self._scanner, self._host, self.port, self._tell = scanner, host, port, tell
        self._clients: set[Client] = set()
        self._moved, self._stop = asyncio.Event(), asyncio.Event()
        self._problem = "no pose has come yet"
        self._last_image: Frame | None = None
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Serve until `stop` is called or the task is cancelled.

        Raises:
            DiffUSError: if the address is taken or not there.
        """
        try:
            server = await asyncio.start_server(self._serve, self._host, self.port, limit=1 << 16)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise DiffUSError(
                f"port {self.port} of {self._host} cannot be used ({reason}); choose another by --port."
            ) from None
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        rendering = asyncio.create_task(self._render())
        stopping = asyncio.create_task(self._stop.wait())
        try:
            done, _ = await asyncio.wait({rendering, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if rendering in done:
                rendering.result()
        finally:
            rendering.cancel()
            stopping.cancel()
            server.close()
            for client in self._clients:
                client.writer.transport.abort()

    def stop(self) -> None:
        """End `run`; to be called in its event loop."""
        self._stop.set()

    async def _render(self) -> None:
        """The newest pose, one image at a time; poses that come meanwhile are skipped."""
        was_lost = True
        while True:
            try:
                await asyncio.wait_for(self._moved.wait(), TRACKER_LOST_S)
            except asyncio.TimeoutError:
                if not was_lost:
                    was_lost = True
                    self._tell("No pose comes any more: the last image stays.")
                    self._broadcast_status(STATUS_TIME_OUT, "no pose comes any more")
                continue
            self._moved.clear()
            try:
                frame = await asyncio.to_thread(self._scanner.frame)
            except DiffUSError as error:
                if str(error) != self._problem:
                    self._tell(f"No image: {error}")
                self._problem, was_lost = str(error), True
                continue
            if was_lost:
                self._tell("Images go out.")
            self._problem, was_lost, self._last_image = "", False, frame
            packed: dict[int, bytes] = {}
            for client in self._clients:
                if client.header_version not in packed:
                    packed[client.header_version] = _image_message(frame, client.header_version).pack()
                client.show(packed[client.header_version])

    def _broadcast_status(self, code: int, text: str) -> None:
        for client in self._clients:
            client.reply(StatusMessage(code, text, IMAGE_NAME))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Everything of one connection; its end, however it comes, is told and harms nobody else."""
        if len(self._clients) >= MOST_CLIENTS:
            writer.close()
            return
        client = Client(writer)
        self._clients.add(client)
        tasks = {asyncio.create_task(client.send()), asyncio.create_task(self._receive(reader, client))}
        reason = ""
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except BadMessage as error:
            reason = f"it sent {error}"
        except asyncio.TimeoutError:
            reason = "it stalled"
        except (OSError, asyncio.IncompleteReadError):
            pass  # it has gone
        finally:
            for task in tasks:
                task.cancel()
            writer.transport.abort()
            with contextlib.suppress(Exception):
                await asyncio.gather(*tasks, return_exceptions=True)
            if reason:
                self._tell(f"Client {client.name} was let go: {reason}.")
            self._clients.discard(client)

    async def _receive(self, reader: asyncio.StreamReader, client: Client) -> None:
        while True:
            first = await reader.read(1)  # a client may be silent between messages, not within one
            if not first:
                return
            rest = await asyncio.wait_for(reader.readexactly(HEADER_BYTES - 1), STALL_S)
            header = read_header(first + rest)
            body = await asyncio.wait_for(reader.readexactly(header.body_bytes), STALL_S)
            client.header_version = max(client.header_version, min(header.version, 2))
            if header.kind in ("GET_STATUS", "GET_IMAGE", "STT_TDATA", "STP_TDATA"):
                self._answer_query(header.kind, client)
                continue
            message = read_message(header, body)
            if message is not None:
                self._take(message, client)

    def _answer_query(self, kind: str, client: Client) -> None:
        if kind == "GET_IMAGE" and self._last_image is not None:
            client.show(_image_message(self._last_image, client.header_version).pack())
        elif kind in ("GET_STATUS", "GET_IMAGE"):
            code = STATUS_NOT_READY if self._problem else STATUS_OK
            client.reply(StatusMessage(code, self._problem or "images go out", IMAGE_NAME))

    def _take(self, message: igtl.MessageBase, client: Client) -> None:
        """A message that was read whole."""
        if isinstance(message, igtl.TransformMessage):
            self._update(client, {message.device_name: message.matrix})
        elif isinstance(message, TrackingDataMessage):
            self._update(client, message.poses)
        elif isinstance(message, CommandMessage) and message.message_type == "COMMAND":
            succeeded, text = commands.answer(message.content, self._scanner)
            xml = commands.reply_xml(message.name, succeeded, text)
            client.reply(CommandMessage(message.command_id, message.name, xml, message.device_name, reply=True))
            self._moved.set()
        elif isinstance(message, igtl.StringMessage):
            old = _OLD_COMMAND.fullmatch(message.device_name)
            if old:  # protocols before 3: commands are strings, told apart by the device's name
                succeeded, text = commands.answer(message.string, self._scanner)
                client.reply(igtl.StringMessage(commands.reply_xml("", succeeded, text), device_name=f"ACK_{old[1]}"))
                self._moved.set()

    def _update(self, client: Client, poses: dict) -> None:
        for name, matrix in poses.items():
            refused = self._scanner.update(name, matrix)
            if refused:
                client.reply(StatusMessage(STATUS_UNKNOWN_INSTRUCTION, refused, name[:NAME_BYTES]))
        self._moved.set()


def _image_message(frame: Frame, header_version: int) -> igtl.ImageMessage:
    message = igtl.ImageMessage(frame.pixels[None], frame.image_to_reference, "ras", device_name=IMAGE_NAME)
    message.header_version = header_version
    return message
