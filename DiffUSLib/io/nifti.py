"""NIfTI, read in one pass in which every voxel is accounted for, and FreeSurfer's .mgz."""

from __future__ import annotations

import contextlib
import gzip
import math
import warnings
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from DiffUSLib.errors import DiffUSError, DiffUSWarning
from DiffUSLib.io.nifti_place import nifti_place

if TYPE_CHECKING:
    import nibabel

NIFTI_ENDINGS = (".nii", ".nii.gz")
FREESURFER_ENDINGS = (".mgz", ".mgh")

_CHUNK_BYTES = 1 << 22
_LARGEST_GZIP_RATIO = 1040  # of deflate; a header that promises more is damaged


def read_nifti(path: Path, phase: int | None = None, prefer: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Voxels (K, J, I) and the (4, 4) IJK-to-RAS matrix in mm of a NIfTI-1 or NIfTI-2 file, compressed or not.

    Whether it is compressed is told by its content, not by its name. Voxels keep their type where the file scales
    nothing; otherwise they are float32 (float64 from 32 and 64 bits). Slope 0 means no scaling, whatever the intercept
    (nifti1.h).

    Args:
        path: the file.
        phase: which of several volumes (4D), from 1.
        prefer: "sform" or "qform", where both are there and differ.

    Raises:
        DiffUSError: if it is damaged, cut off, holds no scalar finite 3D volume, or its voxel axes are sheared.
    """
    with _decompressed(path) as (stream, largest_bytes):
        header = _read_header(stream, path)
        shape, count = _shape(header, path)
        start = _choose_phase(path, phase, count)
        dtype = _voxel_type(header, path)
        voxels = np.empty(shape[::-1], dtype)
        offset = max(int(header["vox_offset"]), header.sizeof_hdr + 4)
        if offset + count * voxels.nbytes > largest_bytes:
            raise _cut_off(path)
        try:
            stream.seek(offset + start * voxels.nbytes)
            _fill(stream, voxels, path)
            _drain(stream, (count - start - 1) * voxels.nbytes, path)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise _cut_off(path) from error
        matrix = nifti_place(header, path, prefer)
        slope, intercept = _scaling(header, path)
    voxels = voxels.astype(dtype.newbyteorder("="), copy=False)
    if voxels.dtype == np.longdouble:
        voxels = voxels.astype(np.float64)
    if (slope, intercept) != (1.0, 0.0):
        voxels = voxels.astype(np.float64 if dtype.itemsize > 2 and dtype != np.float32 else np.float32, copy=False)
        voxels = voxels * voxels.dtype.type(slope) + voxels.dtype.type(intercept)
    return voxels, matrix


def read_freesurfer(path: Path, phase: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Voxels (K, J, I) and the (4, 4) IJK-to-RAS matrix in mm (scanner RAS) of an .mgz or .mgh file.

    Raises:
        DiffUSError: if it cannot be read as a volume.
    """
    import nibabel

    try:
        image = nibabel.freesurfer.MGHImage.from_filename(path)
        voxels = np.asarray(image.dataobj)
    except (OSError, EOFError, ValueError, zlib.error, nibabel.spatialimages.HeaderDataError) as error:
        what = f"{path} cannot be read as a FreeSurfer volume: it is cut off or damaged; export it as NIfTI."
        raise DiffUSError(what) from error
    start = _choose_phase(path, phase, math.prod(voxels.shape[3:]))
    if not int(image.header["goodRASFlag"]):
        what = f"{path} does not say where it is in the patient; FreeSurfer's default place was taken."
        warnings.warn(what, DiffUSWarning, stacklevel=3)
    voxels = voxels.reshape(*voxels.shape[:3], -1)[..., start].T
    return voxels.astype(voxels.dtype.newbyteorder("=")), np.asarray(image.affine, dtype=np.float64)


@contextlib.contextmanager
def _decompressed(path: Path) -> Iterator[tuple[BufferedReader | gzip.GzipFile, int]]:
    """The content as a stream, and how many bytes it may have at most."""
    size = path.stat().st_size
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if compressed:
            with gzip.GzipFile(fileobj=file) as stream:
                yield stream, size * _LARGEST_GZIP_RATIO
        else:
            yield file, size


def _read_header(stream: BufferedReader | gzip.GzipFile, path: Path) -> nibabel.Nifti1Header:
    import nibabel

    not_nifti = DiffUSError(f"{path} cannot be read as a volume: it is cut off, damaged or not what its name says.")
    try:
        block = stream.read(348)
        sizes = {int.from_bytes(block[:4], order) for order in ("little", "big")}
        if sizes & {540}:
            block += stream.read(540 - 348)
        header = (nibabel.Nifti2Header if 540 in sizes else nibabel.Nifti1Header)(block, check=False)
    except (EOFError, OSError, zlib.error, ValueError, nibabel.wrapstruct.WrapStructError) as error:
        raise not_nifti from error
    magic = bytes(header["magic"].item())[:3]
    if magic in (b"ni1", b"ni2"):
        raise DiffUSError(f"{path} is the header of a pair of files (.hdr and .img); convert them to one .nii file.")
    if magic not in (b"n+1", b"n+2") or not sizes & {348, 540}:
        raise not_nifti
    return header


def _shape(header: nibabel.Nifti1Header, path: Path) -> tuple[tuple[int, ...], int]:
    """Size (I, J, K) of a volume, and how many there are."""
    dimensions = [int(size) for size in header["dim"]]
    sizes = dimensions[1 : 1 + dimensions[0]] if 1 <= dimensions[0] <= 7 else []
    if not sizes or min(sizes) < 1:
        raise DiffUSError(f"{path} has a damaged header (its dimensions are {dimensions}); export it again.")
    if len(sizes) < 3:
        raise DiffUSError(f"{path} is a {len(sizes)}D image; give a 3D volume.")
    if len(sizes) > 4 and sizes[4] > 1:
        raise DiffUSError(f"{path} holds {sizes[4]} values per voxel (colors, vectors); give a scalar 3D volume.")
    return tuple(sizes[:3]), math.prod(sizes[3:])


def _choose_phase(path: Path, phase: int | None, count: int) -> int:
    if phase is None and count > 1:
        raise DiffUSError(
            f"{path} holds {count} volumes (4D or a time series); choose one with --phase 1 to --phase {count}."
        )
    if phase is not None and not 1 <= phase <= count:
        raise DiffUSError(f"{path} holds {count} volume{'s' * (count > 1)}; --phase {phase} is not among them.")
    return (phase or 1) - 1


def _voxel_type(header: nibabel.Nifti1Header, path: Path) -> np.dtype:
    import nibabel

    try:
        dtype = header.get_data_dtype()
    except (KeyError, ValueError, nibabel.spatialimages.HeaderDataError) as error:
        raise DiffUSError(f"{path} has voxels of an unknown type; convert it to 16-bit integers or floats.") from error
    if dtype.fields is not None or dtype.kind == "c":
        kind = f"{len(dtype.fields)} values" if dtype.fields is not None else "complex numbers"
        raise DiffUSError(f"{path} holds {kind} per voxel (colors, vectors); give a scalar 3D volume.")
    if dtype.kind not in "iuf":
        raise DiffUSError(f"{path} has voxels of an unknown type; convert it to 16-bit integers or floats.")
    return dtype


def _fill(stream: BufferedReader | gzip.GzipFile, voxels: np.ndarray, path: Path) -> None:
    """Read the voxels in place, chunk by chunk, and look for NaN on the way."""
    flat = voxels.reshape(-1)
    step = max(1, _CHUNK_BYTES // voxels.itemsize)
    for first in range(0, flat.size, step):
        chunk = flat[first : first + step]
        view = chunk.view(np.uint8).data
        while len(view):
            received = stream.readinto(view)
            if not received:
                raise _cut_off(path)
            view = view[received:]
        if chunk.dtype.kind == "f" and not np.isfinite(chunk).all():
            raise DiffUSError(
                f"{path} holds NaN or infinite voxels; replace them (for instance by the background value)."
            )


def _drain(stream: BufferedReader | gzip.GzipFile, promised: int, path: Path) -> None:
    """Read on to the end, where gzip checks its sum; `promised` bytes must come."""
    while chunk := stream.read(_CHUNK_BYTES):
        promised -= len(chunk)
    if promised > 0:
        raise _cut_off(path)


def _cut_off(path: Path) -> DiffUSError:
    return DiffUSError(f"{path} is cut off: voxels are missing at its end; copy or export it again.")


def _scaling(header: nibabel.Nifti1Header, path: Path) -> tuple[float, float]:
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or not math.isfinite(slope):
        return 1.0, 0.0
    if not math.isfinite(intercept):
        raise DiffUSError(f"{path} scales its voxels by an intercept that is no number; correct scl_inter.")
    return slope, intercept
