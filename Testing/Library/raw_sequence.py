"""Tracked sequences (.igs.mha) read without any image library, to compare with."""

import re
import zlib

import numpy as np


def raw(path):
    """Pixels and header text without any image library."""
    content = path.read_bytes()
    start = content.index(b"\n", content.index(b"ElementDataFile")) + 1
    header = content[:start].decode("ascii")
    width, height, count = map(int, re.search(r"DimSize = (\d+) (\d+) (\d+)", header).groups())
    return np.frombuffer(zlib.decompress(content[start:]), np.uint8).reshape(count, height, width), header


def raw_matrix(header, frame, name):
    line = re.search(rf"Seq_Frame{frame:04d}_{name}Transform = (.*)", header)[1]
    return np.array(line.split(), dtype=float).reshape(4, 4)
