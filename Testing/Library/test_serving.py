"""The virtual scanner over OpenIGTLink: bytes after the protocol's documentation, clients that nobody here wrote."""

import asyncio
import contextlib
import random
import socket
import struct
import threading
import time

import numpy as np
import pytest
import torch

pytest.importorskip("pyigtl")

import pyigtl

from DiffUSLib.errors import DiffUSError
from DiffUSLib.geometry.pose import look_at
from DiffUSLib.io.images import to_uint8
from DiffUSLib.rendering.renderer import Renderer
from DiffUSLib.rendering.settings import look
from DiffUSLib.serving.messages import StatusMessage, TrackingDataMessage
from DiffUSLib.serving.scanner import VirtualScanner
from DiffUSLib.serving.server import Server
from Testing.Library.scenes import PROBES, oblique_affine, sphere_maps

POSE = look_at((4.0, -6.0, 36.0), (0.0, 0.0, 0.0))
HEADER = struct.Struct("> H 12s 20s I I Q Q")


@pytest.fixture(scope="module")
def renderer():
    maps = sphere_maps((0.0, 0.0, 0.0), 8.0, oblique_affine(), (81, 81, 81), 4.0)
    small = look("clinical", samples=64, width_px=64, height_px=48)
    return Renderer(maps, PROBES["curvilinear"], small, "cpu")


class Running:
    """A server in a thread of its own."""

    def __init__(self, renderer, constants=None, **options):
        self.told = []
        self._options = {"port": 0, "tell": self.told.append, **options}
        self.scanner = VirtualScanner(renderer, constants)
        self._begun = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        assert self._begun.wait(20)
        self.port = self.server.port

    async def _run(self):
        self.server, self._loop = Server(self.scanner, **self._options), asyncio.get_running_loop()
        serving = asyncio.create_task(self.server.run())
        await self.server.ready.wait()
        self._begun.set()
        await serving

    def stop(self):
        self._loop.call_soon_threadsafe(self.server.stop)
        self._thread.join(20)
        assert not self._thread.is_alive()

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        return connection


@pytest.fixture
def running(renderer):
    with contextlib.ExitStack() as stack:

        def start(constants=None, **options):
            server = Running(renderer, constants, **options)
            stack.callback(server.stop)
            return server

        yield start


def crc64(data):
    """CRC-64 by long division (ECMA 182, as the protocol's documentation names it), bit by bit."""
    value = 0
    for byte in data:
        value ^= byte << 56
        for _ in range(8):
            value = (value << 1) ^ (0x42F0E1EBA9EA3693 if value >> 63 else 0)
            value &= (1 << 64) - 1
    return value


def packed(kind, name, body, version=1, checksum=None):
    """A message by hand."""
    checksum = crc64(body) if checksum is None else checksum
    return HEADER.pack(version, kind.encode(), name.encode(), 1, 2, len(body), checksum) + body


def transform_body(matrix):
    return struct.pack("> 12f", *np.asarray(matrix)[:3].T.flatten())


def receive(connection):
    """(kind, device name, body) of the next message, its checksum proved."""
    version, kind, name, _, _, length, checksum = HEADER.unpack(exactly(connection, HEADER.size))
    body = exactly(connection, length)
    assert checksum == crc64(body)
    if version > 1:  # the extended header, and the metadata behind the content
        size, metadata_header, metadata, _ = struct.unpack("> H H I I", body[:12])
        body = body[size : len(body) - metadata_header - metadata]
    return kind.rstrip(b"\0").decode(), name.rstrip(b"\0").decode(), body


def exactly(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        assert part, "the server hung up"
        data += part
    return data


def next_of(connection, wanted):
    while True:
        kind, name, body = receive(connection)
        if kind == wanted:
            return name, body


@pytest.mark.parametrize("version", [1, 2])
def test_an_image_message_has_the_documented_layout(running, renderer, version):
    body = transform_body(POSE)
    if version == 2:
        body = struct.pack("> H H I I", 12, 2, 0, 7) + body + struct.pack("> H", 0)
    with running().connect() as connection:
        connection.sendall(packed("TRANSFORM", "ProbeToReference", body, version))
        name, image = next_of(connection, "IMAGE")
    assert name == "Image_Reference"
    head = struct.unpack("> H B B B B 3H 12f 6H", image[:72])
    assert head[:5] == (1, 1, 3, 2, 1)  # version, one component, uint8, little endian, RAS
    assert head[5:8] == (64, 48, 1) and head[20:] == (0, 0, 0, 64, 48, 1)
    expected = to_uint8(renderer(POSE).image[0])
    np.testing.assert_array_equal(np.frombuffer(image[72:], np.uint8).reshape(48, 64), expected)
    to_reference = (POSE @ renderer.grid.image_to_transducer()).numpy()
    axes = np.reshape(head[8:17], (3, 3)).T
    np.testing.assert_allclose(axes, to_reference[:3, :3], atol=1e-4)
    middle = to_reference @ [63 / 2, 47 / 2, 0, 1]
    np.testing.assert_allclose(head[17:20], middle[:3], atol=1e-3)


def test_pyigtl_s_own_client_gets_the_image_of_its_pose(running, renderer):
    client = pyigtl.OpenIGTLinkClient("127.0.0.1", running().port)
    try:
        client.send_message(pyigtl.TransformMessage(POSE.numpy(), device_name="ProbeToReference"))
        message = client.wait_for_message("Image_Reference", timeout=20)
    finally:
        client.stop()
    np.testing.assert_array_equal(message.image[0], to_uint8(renderer(POSE).image[0]))
    assert message.world_coordinate_system == "ras"
    expected = (POSE @ renderer.grid.image_to_transducer()).numpy()
    np.testing.assert_allclose(message.ijk_to_world_matrix, expected, atol=1e-3)


def test_tracking_data_and_a_moving_reference(running, renderer):
    """ProbeToTracker and ReferenceToTracker of one TDATA message: the image is that of their chain."""
    reference_to_tracker = look_at((100.0, 20.0, -30.0), (10.0, 0.0, 40.0), roll_deg=33).numpy()
    elements = {"ProbeToTracker": reference_to_tracker @ POSE.numpy(), "ReferenceToTracker": reference_to_tracker}
    body = b"".join(
        struct.pack("> 20s B B", name.encode(), 2, 0) + transform_body(pose) for name, pose in elements.items()
    )
    assert TrackingDataMessage(elements)._pack_content() == body
    with running().connect() as connection:
        connection.sendall(packed("TDATA", "Tracker", body))
        _, image = next_of(connection, "IMAGE")
    shown = np.frombuffer(image[72:], np.uint8).reshape(48, 64).astype(int)
    assert np.abs(shown - to_uint8(renderer(POSE).image[0]).astype(int)).mean() < 0.5  # float32 on the wire


def test_the_calibration_places_the_transducer(renderer):
    image_to_probe = look_at((3.0, 4.0, 5.0), (3.0, 40.0, 9.0), roll_deg=20).numpy() @ np.diag([0.2, 0.2, 0.2, 1.0])
    scanner = VirtualScanner(renderer, {"ImageToProbe": torch.from_numpy(image_to_probe)})
    # Probe stands so that the transducer's face comes to lie where POSE has it.
    face = np.linalg.inv(renderer.grid.image_to_transducer().numpy()) @ [0, 0, 0, 1]
    transducer_to_probe = image_to_probe @ np.diag([5.0, 5.0, 5.0, 1.0])
    transducer_to_probe[:, 3] = image_to_probe @ face
    scanner.update("ProbeToReference", POSE.numpy() @ np.linalg.inv(transducer_to_probe))
    frame = scanner.frame()
    difference = frame.pixels.astype(int) - to_uint8(renderer(POSE).image[0]).astype(int)
    assert np.abs(difference).mean() < 0.5
    expected = (POSE @ renderer.grid.image_to_transducer()).numpy()
    np.testing.assert_allclose(frame.image_to_reference, expected, atol=1e-6)


def test_a_tracked_needle_is_seen(renderer):
    scanner = VirtualScanner(renderer)
    scanner.update("ProbeToReference", POSE.numpy())
    without = scanner.frame().pixels.astype(int)
    tip = POSE.numpy() @ [-8.0, 25.0, 0.0, 1.0]
    needle = np.eye(4)
    needle[:3, 2], needle[:3, 0], needle[:3, 1] = POSE[:3, 0], POSE[:3, 1], POSE[:3, 2]
    needle[:, 3] = tip
    scanner.update("NeedleToReference", needle)
    shown = scanner.frame().pixels.astype(int) - without
    to_pixel = np.linalg.inv(renderer.grid.image_to_transducer().numpy())
    column, row = (to_pixel @ [5.0, 25.0, 0.0, 1.0])[:2].round().astype(int)
    assert shown[row - 1 : row + 2, column - 2 : column + 3].max() > 60


@pytest.mark.parametrize("frame", ["", "1 2", "Needle\nTo"])
def test_a_needle_frame_that_is_no_name_is_refused(renderer, frame):
    with pytest.raises(DiffUSError, match="no frame of a needle"):
        VirtualScanner(renderer, needle_frame=frame)


def test_the_newest_pose_wins(running, renderer):
    """Of a burst of poses the last one is what is shown in the end, and not every one is rendered."""
    poses = [look_at((4.0, -6.0, 36.0 + 0.02 * i), (0.0, 0.0, 0.0)).numpy() for i in range(400)]
    server = running()
    rendered = []
    original = server.scanner.frame
    server.scanner.frame = lambda: rendered.append(1) or original()
    with server.connect() as connection:
        data = [packed("TRANSFORM", "ProbeToReference", transform_body(pose)) for pose in poses]
        connection.sendall(b"".join(data))
        wanted = to_uint8(renderer(torch.from_numpy(poses[-1].astype(np.float32))).image[0])
        while True:
            _, image = next_of(connection, "IMAGE")
            if np.array_equal(np.frombuffer(image[72:], np.uint8).reshape(48, 64), wanted):
                break
    assert len(rendered) < 200


def test_queries_and_commands(running):
    with running().connect() as connection:
        connection.sendall(packed("GET_STATUS", "", b""))
        _, status = next_of(connection, "STATUS")
        assert struct.unpack("> H", status[:2]) == (13,) and b"no pose" in status
        connection.sendall(packed("TRANSFORM", "ProbeToReference", transform_body(POSE)))
        next_of(connection, "IMAGE")
        connection.sendall(packed("GET_STATUS", "", b"") + packed("GET_IMAGE", "", b""))
        _, status = next_of(connection, "STATUS")
        assert struct.unpack("> H q 20s", status[:30])[0] == 1
        xml = b'<Command Name="GetTransform" TransformName="ReferenceToProbe"/>'
        head = struct.pack("> I 20s H I", 42, b"GetTransform", 3, len(xml))
        extended = struct.pack("> H H I I", 12, 2, 0, 0)
        connection.sendall(packed("COMMAND", "", extended + head + xml + struct.pack("> H", 0), version=2))
        _, reply = next_of(connection, "RTS_COMMAND")
        identifier, name, _, length = struct.unpack("> I 20s H I", reply[:30])
        assert identifier == 42 and name.rstrip(b"\0") == b"GetTransform" and len(reply) == 30 + length
        values = reply.split(b'Message="')[1].split(b'"')[0].split()
        np.testing.assert_allclose(np.reshape([float(v) for v in values], (4, 4)), np.linalg.inv(POSE), atol=1e-4)
        old = b'<Command Name="Version"/>'
        connection.sendall(packed("STRING", "CMD_7", struct.pack("> H H", 3, len(old)) + old))
        name, reply = next_of(connection, "STRING")
        assert name == "ACK_7" and b"SUCCESS" in reply and b"DiffUS" in reply
        for bad in (b'<Command Name="Explode"/>', b"<Command", b'<!DOCTYPE a [<!ENTITY b "c">]><Command/>'):
            connection.sendall(packed("STRING", "CMD_8", struct.pack("> H H", 3, len(bad)) + bad))
            _, reply = next_of(connection, "STRING")
            assert b"FAIL" in reply


def test_transforms_that_are_not_rigid_are_refused_by_name(running):
    with running().connect() as connection:
        connection.sendall(packed("TRANSFORM", "ProbeToReference", transform_body(POSE.numpy() * 2)))
        name, status = next_of(connection, "STATUS")
        assert name == "ProbeToReference" and b"not rigid" in status
        connection.sendall(packed("TRANSFORM", "nonsense", transform_body(POSE)))
        name, status = next_of(connection, "STATUS")
        assert name == "nonsense" and b"form" in status


def test_garbage_stalls_and_a_thousand_reconnects_do_not_stop_it(running, monkeypatch):
    monkeypatch.setattr("DiffUSLib.serving.server.STALL_S", 0.3)
    server, chance = running(), random.Random(5)
    good = packed("TRANSFORM", "ProbeToReference", transform_body(POSE))
    with server.connect() as watcher, server.connect() as stalled, server.connect() as deaf:
        stalled.sendall(good[:70])  # stops within a message
        deaf.sendall(good)  # never reads
        for number in range(1000):
            with server.connect() as connection:
                kind = number % 5
                if kind == 0:
                    connection.sendall(chance.randbytes(chance.randrange(1, 300)))
                elif kind == 1:  # a good message with one byte changed
                    damaged = bytearray(good)
                    damaged[chance.randrange(len(good))] ^= 1 << chance.randrange(8)
                    connection.sendall(bytes(damaged))
                elif kind == 2:
                    connection.sendall(packed("TRANSFORM", "A", b"", checksum=0) + packed("TDATA", "A", b"x" * 71))
                elif kind == 3:
                    connection.sendall(HEADER.pack(1, b"IMAGE", b"A", 0, 0, 1 << 62, 0))
        watcher.sendall(good)
        while next_of(watcher, "IMAGE")[0] != "Image_Reference":
            pass
        stalled.settimeout(20)
        with contextlib.suppress(ConnectionResetError):
            while stalled.recv(65536):
                pass  # hung up on, in the end
    until = time.monotonic() + 20
    while server.server._clients and time.monotonic() < until:
        time.sleep(0.05)
    assert not server.server._clients
    assert any("stalled" in text for text in server.told) and any("checksum" in text for text in server.told)


def test_a_lost_tracker_is_told_and_may_come_back(running, monkeypatch):
    monkeypatch.setattr("DiffUSLib.serving.server.TRACKER_LOST_S", 0.2)
    with running().connect() as connection:
        for _ in range(2):
            connection.sendall(packed("TRANSFORM", "ProbeToReference", transform_body(POSE)))
            next_of(connection, "IMAGE")
            _, status = next_of(connection, "STATUS")
            assert struct.unpack("> H", status[:2]) == (7,)


def test_a_taken_port_is_told(running, renderer):
    port = running().port

    async def second():
        await Server(VirtualScanner(renderer), port=port).run()

    with pytest.raises(DiffUSError, match=f"port {port}.*choose another"):
        asyncio.run(second())


def test_status_text_survives():
    message = StatusMessage(7, "no pose comes any more")
    other = StatusMessage()
    other._unpack_content(message._pack_content())
    assert (other.code, other.text) == (7, "no pose comes any more")
