"""Reading and writing files safely: checks before SimpleITK sees them, and output that is whole or absent."""

from __future__ import annotations

import contextlib
import errno
import gzip
import math
import os
import secrets
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import SimpleITK as sitk

from DiffUSLib.errors import DiffUSError

_stderr_lock = threading.Lock()


def file_ending(path: str | os.PathLike, known: tuple[str, ...]) -> str | None:
    """Which of the known endings (longest first) the file name has, in lower case; None if it has none of them."""
    name = Path(path).name.lower()
    return next((ending for ending in sorted(known, key=len, reverse=True) if name.endswith(ending)), None)


def existing_file(path: str | os.PathLike) -> Path:
    """The path, if it names a file that can be read and holds something.

    Raises:
        DiffUSError: if it is missing, a folder, unreadable or empty.
    """
    path = Path(path)
    if not path.exists():
        raise DiffUSError(f"{path} does not exist; check the name.")
    if path.is_dir():
        raise DiffUSError(f"{path} is a folder; name a file in it.")
    try:
        with path.open("rb") as file:
            first = file.read(1)
    except OSError as error:
        raise DiffUSError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not first:
        raise DiffUSError(f"{path} is empty; copy or export it again.")
    return path


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep compiled libraries from writing to standard error past Python: the file descriptor is turned away."""
    with _stderr_lock, contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # a Windows program without a console has no standard error
            kept = os.dup(2)
            stack.callback(os.close, kept)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            stack.callback(os.close, nowhere)
            os.dup2(nowhere, 2)
            stack.callback(os.dup2, kept, 2)
        yield


@contextlib.contextmanager
def quiet_itk() -> Iterator[None]:
    """Keep ITK and the readers inside it (MetaIO, NIfTI, GDCM) quiet: DiffUS says itself what is wrong."""
    with quiet_stderr(), contextlib.ExitStack() as stack:
        shown = sitk.ProcessObject.GetGlobalWarningDisplay()
        sitk.ProcessObject.SetGlobalWarningDisplay(False)
        stack.callback(sitk.ProcessObject.SetGlobalWarningDisplay, shown)
        yield


def check_folder(path: str | os.PathLike) -> None:
    """Make sure that the folder of a file to write exists.

    Raises:
        DiffUSError: if it does not.
    """
    folder = Path(path).parent
    if not folder.is_dir():
        raise DiffUSError(f"{path} cannot be written: the folder {folder} does not exist; make it first.")


@contextlib.contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[Path]:
    """Write a file whole or not at all: `with written_whole(path) as temporary:` write to `temporary`.

    `temporary` lies beside the target and has the same ending. It takes the target's place when the block ends well
    and is removed otherwise.

    Raises:
        DiffUSError: if the file cannot be written (no such folder, no permission, disk full).
    """
    path = Path(path)
    if path.is_dir():
        raise DiffUSError(f"{path} is a folder; name a file to write.")
    check_folder(path)
    temporary = path.with_name(f".{secrets.token_hex(4)}-{path.name}")
    try:
        try:
            temporary.touch(exist_ok=False)  # a missing permission shows here, with its reason
            yield temporary
            if file_ending(path, (".nii", ".nii.gz")) and not nifti_is_whole(temporary):
                raise OSError(errno.ENOSPC, "the disk is full")
            os.replace(temporary, path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise DiffUSError(f"{path} cannot be written: {error.strerror or error}.") from error
    except RuntimeError as error:  # SimpleITK's writers
        raise DiffUSError(f"{path} cannot be written; is the disk full or write-protected?") from error


def nifti_is_whole(path: Path) -> bool:
    """Whether a NIfTI file holds all the voxels its header promises; ITK's writer does not check that."""
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opener(path, "rb") as file:
            header = file.read(348)
            promised = _nifti_bytes(header)
            length = len(header)
            while chunk := file.read(1 << 20):
                length += len(chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile, struct.error):
        return False
    return length >= promised


def _nifti_bytes(header: bytes) -> int:
    """File length in bytes that a NIfTI-1 header promises (nifti1.h: dim, bitpix, vox_offset)."""
    order = "<" if struct.unpack_from("<i", header, 0)[0] == 348 else ">"
    sizes = struct.unpack_from(order + "8h", header, 40)
    bits = struct.unpack_from(order + "h", header, 72)[0]
    offset = int(struct.unpack_from(order + "f", header, 108)[0])
    return offset + math.prod(max(size, 1) for size in sizes[1 : 1 + max(sizes[0], 0)]) * bits // 8
