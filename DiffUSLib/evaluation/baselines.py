"""What registration is compared with, on the same slices: methods without a renderer, or without gradients."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import SimpleITK as sitk
import torch
from scipy import ndimage, optimize

from DiffUSLib.acoustics import AcousticMaps
from DiffUSLib.geometry.pose import rigid_matrix
from DiffUSLib.geometry.sampling import Sampler, ras_to_index, transform_points
from DiffUSLib.geometry.volume import Volume
from DiffUSLib.io.frames import set_image_ijk_to_ras, transform_lps_to_ras
from DiffUSLib.registration import RegistrationSettings, UltrasoundSlices
from DiffUSLib.registration.features import crop, smoothed
from DiffUSLib.registration.objective import COARSE, FINE, Objective
from DiffUSLib.similarity import lc2
from DiffUSLib.steps import value_of
from DiffUSLib.ultrasound.observation import observe

_GRID_MM = 1.5
_REACH = 25.0  # mm, and degrees times 40 mm / 57 for turns
_POWELL_STEPS = (4.0, 1.0)


def baseline(name: str, slices: UltrasoundSlices, volume: Volume, maps: AcousticMaps) -> np.ndarray:
    """(4, 4) correction in RAS by the method of that name, see `BASELINES`."""
    return BASELINES[name](slices, volume, maps)


def identity(slices: UltrasoundSlices, volume: Volume, maps: AcousticMaps) -> np.ndarray:
    """No correction."""
    return np.eye(4)


def mutual_information(slices: UltrasoundSlices, volume: Volume, maps: AcousticMaps) -> np.ndarray:
    """SimpleITK's rigid registration of the MRI to the ultrasound by Mattes' mutual information.

    All pixels are put into one volume (as reconstructions of freehand ultrasound are made), with a mask of its filled
    voxels. Three levels of smoothing of the MRI; gradient descent with steps scaled to shifts in space.
    """
    fixed, mask = reconstruction(slices)
    moving = sitk.GetImageFromArray(volume.voxels.float().numpy())
    set_image_ijk_to_ras(moving, volume.ijk_to_ras, "the MRI")
    center = transform_lps_to_ras(np.eye(4))[:3, :3] @ slices.centers_ras_mm.mean(0).numpy()
    transform = sitk.Euler3DTransform()
    transform.SetCenter(center.tolist())
    for sigma_mm in (4.0, 2.0, 1.0):
        method = sitk.ImageRegistrationMethod()
        method.SetMetricAsMattesMutualInformation(32)
        method.SetMetricFixedMask(mask)
        method.SetInterpolator(sitk.sitkLinear)
        method.SetOptimizerAsRegularStepGradientDescent(2.0 * sigma_mm / 4, 0.02, 200)
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetInitialTransform(transform, inPlace=True)
        method.Execute(fixed, sitk.SmoothingRecursiveGaussian(moving, sigma_mm))
    # The transform takes points of the ultrasound to the MRI: the correction.
    matrix = np.eye(4)
    rotation = np.reshape(transform.GetMatrix(), (3, 3))
    matrix[:3, :3] = rotation
    matrix[:3, 3] = center + np.array(transform.GetTranslation()) - rotation @ center
    return transform_lps_to_ras(matrix)


def reconstruction(slices: UltrasoundSlices) -> tuple[sitk.Image, sitk.Image]:
    """Mean of all pixels in each voxel of a grid around the slices, and the mask of the voxels that have any."""
    places, values = [], []
    row, column = np.mgrid[: slices.images.shape[1], : slices.images.shape[2]]
    pixels = np.stack([column, row, 0 * row, np.ones_like(row)])
    for image, mask, pose in zip(slices.images, slices.mask, slices.transducer_to_ras.numpy(), strict=True):
        sigma = 0.7 / abs(slices.image_to_transducer[0, 0])
        smooth = ndimage.gaussian_filter(image, sigma)
        places.append((pose @ slices.image_to_transducer @ pixels[:, mask])[:3].T)
        values.append(smooth[mask])
    places_mm, grays = np.concatenate(places), np.concatenate(values)
    origin = places_mm.min(0)
    index = np.round((places_mm - origin) / _GRID_MM).astype(int)
    shape = index.max(0) + 1
    flat = np.ravel_multi_index(index.T, shape)
    count = np.bincount(flat, minlength=shape.prod()).reshape(shape)
    total = np.bincount(flat, grays, minlength=shape.prod()).reshape(shape)
    matrix = np.diag([_GRID_MM, _GRID_MM, _GRID_MM, 1.0])
    matrix[:3, 3] = origin
    images = []
    for voxels in (total / np.maximum(count, 1), count > 0):
        dtype = np.uint8 if voxels.dtype == bool else np.float32
        image = sitk.GetImageFromArray(np.ascontiguousarray(voxels.T.astype(dtype)))
        set_image_ijk_to_ras(image, matrix, "the reconstruction")
        images.append(image)
    return images[0], images[1]


def lc2_alone(slices: UltrasoundSlices, volume: Volume, maps: AcousticMaps) -> np.ndarray:
    """LC2 of the MRI's reslice and its gradient, by Powell's method, coarse then fine."""
    center = slices.centers_ras_mm.mean(0)
    units = np.zeros(6)
    for step, (smoothing_mm, lines, samples) in zip(_POWELL_STEPS, ((1.5, 32, 48), (0.7, 64, 96)), strict=True):
        cost = _reslice_cost(lc2, slices, volume, smoothing_mm, lines, samples)
        units = _powell(cost, units, step)
    return _matrix(units, center).numpy()


def derivative_free(slices: UltrasoundSlices, volume: Volume, maps: AcousticMaps) -> np.ndarray:
    """Our own log-posterior, by Powell's method from the tracked pose instead of gradients and many starts."""
    center = slices.centers_ras_mm.mean(0)
    prior = RegistrationSettings().prior_units
    anatomy = crop(volume, maps, slices.centers_ras_mm, margin_mm=80)
    units = np.zeros(6)
    for step, scale in zip(_POWELL_STEPS, (COARSE, FINE), strict=True):
        smooth = value_of(smoothed(anatomy, scale.volume_mm))
        objective = Objective(smooth, slices, scale, center, prior, torch.device("cpu"))
        units = _powell(partial(_posterior_cost, objective), units, step)
    return _matrix(units, center).numpy()


def _posterior_cost(objective: Objective, units: np.ndarray) -> float:
    return -float(objective.posterior(torch.tensor([[*units, 0.0]], dtype=torch.float32)))


def _powell(cost: Callable, units: np.ndarray, step: float) -> np.ndarray:
    options = {"direc": np.eye(6) * step, "xtol": 0.05, "ftol": 1e-4, "maxfev": 600}
    return optimize.minimize(cost, units, method="Powell", bounds=[(-_REACH, _REACH)] * 6, options=options).x


def _matrix(units: np.ndarray, center: torch.Tensor) -> torch.Tensor:
    vector = torch.from_numpy(np.asarray(units, dtype=np.float64))
    shift = torch.eye(4, dtype=torch.float64)
    shift[:3, 3] = center
    return shift @ rigid_matrix(vector[3:] / 40, vector[:3]) @ torch.linalg.inv(shift)


def _reslice_cost(measure: Callable, slices: UltrasoundSlices, volume: Volume, smoothing_mm, lines, samples):
    observed = observe(slices, lines, samples, smoothing_mm)
    center = slices.centers_ras_mm.mean(0)
    matrix, sample = ras_to_index(volume.ijk_to_ras), Sampler([volume.voxels], [0.0])
    origins, directions = observed.probe.scan_lines(dtype=torch.float32)
    depth = (torch.arange(samples) + 0.5) * (observed.probe.depth_mm / samples)
    points = origins[:, None] + directions[:, None] * depth[:, None]

    def cost(units):
        poses = (matrix @ _matrix(units, center) @ slices.transducer_to_ras).float()
        image = sample(transform_points(poses, points))[0]
        return -float(measure(image, observed.values, observed.weights).mean())

    return cost


BASELINES = {
    "identity": identity,
    "mutual_information": mutual_information,
    "lc2": lc2_alone,
    "derivative_free": derivative_free,
}
"""Methods by name."""
