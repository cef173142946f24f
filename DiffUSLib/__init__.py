"""DiffUS: differentiable ultrasound rendering from MRI, CT and label maps, and registration by it.

The names below are the public interface. They are loaded when first used, so that importing DiffUSLib does not import
PyTorch: an application can list probes or report that PyTorch is missing.
"""

from importlib import import_module

_HOMES = {
    "errors": ("DiffUSError", "DiffUSWarning"),
    "device": ("choose_device",),
    "volume": ("Volume",),
    "acoustics": ("AcousticMaps", "acoustic_maps", "detect_modality"),
    "probe": ("Probe", "load_probe", "probe_names", "save_probe"),
    "pose": ("MOTIONS", "check_rigid", "look_at", "move", "rigid_matrix"),
    "propagation": ("PROPAGATIONS", "SIGN_CONVENTIONS", "propagate"),
    "settings": ("LOOKS", "RenderSettings", "look"),
    "renderer": ("RenderedImage", "Renderer", "ScanLines"),
    "scan_conversion": ("ImageGrid",),
    "metrics": ("compare_images",),
    "phantom": ("head_phantom",),
    "io": ("read_transform", "read_volume", "write_image", "write_transform"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)
__version__ = "0.1.0"


def __getattr__(name):
    if name not in _HOME_OF:
        raise AttributeError(f"module 'DiffUSLib' has no attribute '{name}'")
    value = getattr(import_module(f"DiffUSLib.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
