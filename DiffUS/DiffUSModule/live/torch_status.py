"""Is PyTorch here, which one, and how does it come here."""

import functools
import importlib.metadata
import importlib.util
import sys

import slicer
from slicer.i18n import tr as _

TORCH_REQUIREMENT = ">=2.4"


def isTorchInstalled():
    """True if `import torch` will work; does not import it."""
    return "torch" in sys.modules or importlib.util.find_spec("torch") is not None


@functools.cache
def torchVersion():
    """The version as text; does not import torch."""
    return importlib.metadata.version("torch")


def describeDevice():
    """What computes, and why, as a sentence; imports torch."""
    from DiffUSLib import choose_device

    return choose_device("auto")[1]


def installTorch():
    """Install PyTorch after the user agreed: by the PyTorch extension if it is there, else by Slicer's pip.

    Returns:
        True if torch can be imported now; False if the user declined.

    Raises:
        DiffUSError: if the installation failed.
    """
    from DiffUSLib import DiffUSError

    try:
        agreed = _installByExtensionOrPip()
    except Exception as error:
        raise DiffUSError(_("PyTorch could not be installed: {reason}").format(reason=error)) from error
    if not agreed:
        return False
    importlib.invalidate_caches()
    return isTorchInstalled()


def _installByExtensionOrPip():
    """False if the user declined."""
    try:
        import PyTorchUtils
    except ImportError:
        if _packaging() is not None:
            return _installByPackaging()
        text = _("DiffUS needs PyTorch (about 200 MB to 3 GB). Download and install it now?")
        if not slicer.util.confirmOkCancelDisplay(text, _("Install PyTorch")):
            return False
        slicer.util.pip_install(f"torch{TORCH_REQUIREMENT}")
        return True
    logic = PyTorchUtils.PyTorchUtilsLogic()
    return logic.installTorch(askConfirmation=True, torchVersionRequirement=TORCH_REQUIREMENT) is not None


def _packaging():
    """slicer.packaging, which asks the user and shows the progress; None before Slicer 5.12."""
    try:
        from slicer import packaging
    except ImportError:
        return None
    return packaging if hasattr(packaging, "pip_ensure") else None


def _installByPackaging():
    try:
        _packaging().pip_ensure(f"torch{TORCH_REQUIREMENT}", requester="DiffUS")
    except RuntimeError as error:
        if "declined" not in str(error):  # the one way in which it says that the user does not want it
            raise
        return False
    return True


def releaseMemory():
    """Let go of what the library keeps between images, and of cached GPU memory."""
    if "torch" in sys.modules:
        from DiffUSLib import release_memory

        release_memory()
