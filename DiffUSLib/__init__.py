"""DiffUS: differentiable ultrasound rendering from MRI, CT and label maps, and registration by it.

The names below are the public interface. They are loaded when first used, so that importing DiffUSLib does not import
PyTorch: an application can list probes or report that PyTorch is missing.
"""

from importlib import import_module

_HOMES = {
    "acoustics": (
        "AcousticMaps",
        "Anchor",
        "ImpedanceNetwork",
        "acoustic_maps",
        "calibration_names",
        "detect_modality",
        "impedance_from_hu",
        "label_set_names",
        "maps_from_ct",
        "maps_from_labels",
        "maps_from_mri",
        "measure_anchors",
        "tissue",
        "tissue_names",
        "train_network",
    ),
    "acoustics.body": ("body_share",),
    "appearance": (
        "Appearance",
        "FitProgress",
        "FitResult",
        "appearance_names",
        "fit_appearance",
        "fit_to_frames",
        "load_appearance",
        "look_settings",
        "save_appearance",
    ),
    "io.animation": ("write_animation",),
    "rendering.device": ("choose_device", "one_core_left_free", "release_memory"),
    "errors": ("DiffUSError", "DiffUSWarning"),
    "ultrasound.fan_detection": ("FanGeometry", "detect_fan", "fan_report", "read_fan", "write_fan"),
    "io": (
        "SkippedFrame",
        "frame_problems",
        "place_frames",
        "read_calibration",
        "read_tracked_frames",
        "read_transform",
        "read_volume",
        "split_transform_name",
        "summarize_skipped",
        "to_gray",
        "tracked_links",
        "write_image",
        "write_tracked_frames",
        "write_transform",
        "written_whole",
    ),
    "similarity.metrics": ("compare_images",),
    "samples.phantom": ("head_phantom",),
    "probes.craniotomy": ("open_craniotomy",),
    "probes.placement": ("default_pose", "snap_to_surface"),
    "geometry.pose": ("MOTIONS", "check_rigid", "look_at", "move", "rigid_matrix"),
    "probes.probe": ("Probe", "load_probe", "probe_names", "save_probe"),
    "rendering.propagation": ("PROPAGATIONS", "SIGN_CONVENTIONS", "propagate"),
    "registration": (
        "Alignment",
        "RegistrationSettings",
        "SliceComparison",
        "compare_sweeps",
        "overlay",
        "register",
        "registration_report",
        "start_from_landmarks",
    ),
    "registration.deformation": ("Deformation", "DeformationSettings"),
    "registration.error_map": ("error_map",),
    "registration.report": ("deformation_report",),
    "rendering.needle": ("Needle",),
    "registration.settings": ("PRESETS",),
    "io.points": ("point_pairs", "read_points"),
    "rendering.renderer": ("RenderedImage", "Renderer", "ScanLines"),
    "rendering.scan_conversion": ("ImageGrid",),
    "rendering.settings": ("LOOKS", "RenderSettings", "look"),
    "acoustics.shrink": ("shrink_volume",),
    "ultrasound.observation": ("slices_from_images", "spread_frames", "square_pixels"),
    "ultrasound.volume_planes": ("slices_from_volume",),
    "geometry.volume": ("Volume",),
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
