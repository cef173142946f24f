"""What must be set before Qt and VTK are imported."""

import os


def prepare(with_window=False):
    """Draw without a display: EGL for VTK, Qt's offscreen platform unless a window is wanted."""
    if not with_window:
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    os.environ.setdefault("QT_LOGGING_RULES", "qt.qpa.*=false")
