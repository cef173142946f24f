"""The public interface, for editors and type checkers; `__init__.py` loads these names when they are first used."""

from DiffUSLib.acoustics import (
    AcousticMaps as AcousticMaps,
)
from DiffUSLib.acoustics import (
    Anchor as Anchor,
)
from DiffUSLib.acoustics import (
    ImpedanceNetwork as ImpedanceNetwork,
)
from DiffUSLib.acoustics import (
    acoustic_maps as acoustic_maps,
)
from DiffUSLib.acoustics import (
    calibration_names as calibration_names,
)
from DiffUSLib.acoustics import (
    detect_modality as detect_modality,
)
from DiffUSLib.acoustics import (
    impedance_from_hu as impedance_from_hu,
)
from DiffUSLib.acoustics import (
    label_set_names as label_set_names,
)
from DiffUSLib.acoustics import (
    maps_from_ct as maps_from_ct,
)
from DiffUSLib.acoustics import (
    maps_from_labels as maps_from_labels,
)
from DiffUSLib.acoustics import (
    maps_from_mri as maps_from_mri,
)
from DiffUSLib.acoustics import (
    measure_anchors as measure_anchors,
)
from DiffUSLib.acoustics import (
    tissue as tissue,
)
from DiffUSLib.acoustics import (
    tissue_names as tissue_names,
)
from DiffUSLib.acoustics import (
    train_network as train_network,
)
from DiffUSLib.acoustics.body import body_share as body_share
from DiffUSLib.acoustics.shrink import shrink_volume as shrink_volume
from DiffUSLib.appearance import (
    Appearance as Appearance,
)
from DiffUSLib.appearance import (
    FitProgress as FitProgress,
)
from DiffUSLib.appearance import (
    FitResult as FitResult,
)
from DiffUSLib.appearance import (
    appearance_names as appearance_names,
)
from DiffUSLib.appearance import (
    fit_appearance as fit_appearance,
)
from DiffUSLib.appearance import (
    fit_to_frames as fit_to_frames,
)
from DiffUSLib.appearance import (
    load_appearance as load_appearance,
)
from DiffUSLib.appearance import (
    look_settings as look_settings,
)
from DiffUSLib.appearance import (
    save_appearance as save_appearance,
)
from DiffUSLib.errors import DiffUSError as DiffUSError
from DiffUSLib.errors import DiffUSWarning as DiffUSWarning
from DiffUSLib.geometry.pose import (
    MOTIONS as MOTIONS,
)
from DiffUSLib.geometry.pose import (
    check_rigid as check_rigid,
)
from DiffUSLib.geometry.pose import (
    look_at as look_at,
)
from DiffUSLib.geometry.pose import (
    move as move,
)
from DiffUSLib.geometry.pose import (
    rigid_matrix as rigid_matrix,
)
from DiffUSLib.geometry.volume import Volume as Volume
from DiffUSLib.io import (
    SkippedFrame as SkippedFrame,
)
from DiffUSLib.io import (
    frame_problems as frame_problems,
)
from DiffUSLib.io import (
    place_frames as place_frames,
)
from DiffUSLib.io import (
    read_calibration as read_calibration,
)
from DiffUSLib.io import (
    read_tracked_frames as read_tracked_frames,
)
from DiffUSLib.io import (
    read_transform as read_transform,
)
from DiffUSLib.io import (
    read_volume as read_volume,
)
from DiffUSLib.io import (
    split_transform_name as split_transform_name,
)
from DiffUSLib.io import (
    summarize_skipped as summarize_skipped,
)
from DiffUSLib.io import (
    to_gray as to_gray,
)
from DiffUSLib.io import (
    tracked_links as tracked_links,
)
from DiffUSLib.io import (
    write_image as write_image,
)
from DiffUSLib.io import (
    write_tracked_frames as write_tracked_frames,
)
from DiffUSLib.io import (
    write_transform as write_transform,
)
from DiffUSLib.io import (
    written_whole as written_whole,
)
from DiffUSLib.io.animation import write_animation as write_animation
from DiffUSLib.io.points import point_pairs as point_pairs
from DiffUSLib.io.points import read_points as read_points
from DiffUSLib.probes.craniotomy import open_craniotomy as open_craniotomy
from DiffUSLib.probes.placement import default_pose as default_pose
from DiffUSLib.probes.placement import snap_to_surface as snap_to_surface
from DiffUSLib.probes.probe import (
    Probe as Probe,
)
from DiffUSLib.probes.probe import (
    load_probe as load_probe,
)
from DiffUSLib.probes.probe import (
    probe_names as probe_names,
)
from DiffUSLib.probes.probe import (
    save_probe as save_probe,
)
from DiffUSLib.registration import (
    Alignment as Alignment,
)
from DiffUSLib.registration import (
    RegistrationSettings as RegistrationSettings,
)
from DiffUSLib.registration import (
    SliceComparison as SliceComparison,
)
from DiffUSLib.registration import (
    compare_sweeps as compare_sweeps,
)
from DiffUSLib.registration import (
    overlay as overlay,
)
from DiffUSLib.registration import (
    register as register,
)
from DiffUSLib.registration import (
    registration_report as registration_report,
)
from DiffUSLib.registration import (
    start_from_landmarks as start_from_landmarks,
)
from DiffUSLib.registration.deformation import (
    Deformation as Deformation,
)
from DiffUSLib.registration.deformation import (
    DeformationSettings as DeformationSettings,
)
from DiffUSLib.registration.error_map import error_map as error_map
from DiffUSLib.registration.report import deformation_report as deformation_report
from DiffUSLib.registration.settings import PRESETS as PRESETS
from DiffUSLib.rendering.device import (
    choose_device as choose_device,
)
from DiffUSLib.rendering.device import (
    one_core_left_free as one_core_left_free,
)
from DiffUSLib.rendering.device import (
    release_memory as release_memory,
)
from DiffUSLib.rendering.needle import Needle as Needle
from DiffUSLib.rendering.propagation import (
    PROPAGATIONS as PROPAGATIONS,
)
from DiffUSLib.rendering.propagation import (
    SIGN_CONVENTIONS as SIGN_CONVENTIONS,
)
from DiffUSLib.rendering.propagation import (
    propagate as propagate,
)
from DiffUSLib.rendering.renderer import RenderedImage as RenderedImage
from DiffUSLib.rendering.renderer import Renderer as Renderer
from DiffUSLib.rendering.renderer import ScanLines as ScanLines
from DiffUSLib.rendering.scan_conversion import ImageGrid as ImageGrid
from DiffUSLib.rendering.settings import LOOKS as LOOKS
from DiffUSLib.rendering.settings import RenderSettings as RenderSettings
from DiffUSLib.rendering.settings import look as look
from DiffUSLib.samples.phantom import head_phantom as head_phantom
from DiffUSLib.similarity.metrics import compare_images as compare_images
from DiffUSLib.ultrasound.fan_detection import (
    FanGeometry as FanGeometry,
)
from DiffUSLib.ultrasound.fan_detection import (
    detect_fan as detect_fan,
)
from DiffUSLib.ultrasound.fan_detection import (
    fan_report as fan_report,
)
from DiffUSLib.ultrasound.fan_detection import (
    read_fan as read_fan,
)
from DiffUSLib.ultrasound.fan_detection import (
    write_fan as write_fan,
)
from DiffUSLib.ultrasound.observation import (
    slices_from_images as slices_from_images,
)
from DiffUSLib.ultrasound.observation import (
    spread_frames as spread_frames,
)
from DiffUSLib.ultrasound.observation import (
    square_pixels as square_pixels,
)
from DiffUSLib.ultrasound.volume_planes import slices_from_volume as slices_from_volume

__all__: list[str]
__version__: str
