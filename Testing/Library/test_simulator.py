"""The simulator that registration is tested with: statistics and geometry that are known beforehand."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from DiffUSLib.simulator import body, cases, scanner
from DiffUSLib.simulator.anatomy import Anatomy
from DiffUSLib.simulator.scanner import HEAD_SCANNER, Scene


def block(echogenicity, stiffness=None, size=120):
    """Maps of 1 mm voxels around RAS 0; fields are functions of RAS coordinates (..., 3)."""
    affine = np.eye(4)
    affine[:3, 3] = -size / 2
    points = np.moveaxis(np.indices((size,) * 3), 0, -1) - size / 2
    zero = np.zeros((size,) * 3, dtype=np.float32)
    maps = [zero if field is None else field(points).astype(np.float32) for field in (echogenicity, stiffness)]
    return Anatomy(zero, *maps, zero, zero + 50, affine, "t1", np.zeros((1, 3)), np.array([0.0, 0, 1]))


def probe_at(depth_to_center_mm, roll_deg=0.0):
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler("z", roll_deg, degrees=True).as_matrix()
    pose[:3, 3] = -pose[:3, :3] @ [0, depth_to_center_mm, 0]
    return pose


def polar(anatomy, scene):
    angle = np.deg2rad(np.linspace(-35, 35, scanner.LINES))
    depth = (np.arange(scanner.SAMPLES) + 0.5) * HEAD_SCANNER.depth_mm / scanner.SAMPLES
    return scanner._through_the_beam(anatomy, scene, angle, depth)


def test_speckle_of_even_tissue_is_rayleigh():
    """Mean over standard deviation of a Rayleigh distribution is 1.91."""
    rng = np.random.default_rng(0)
    angle = np.deg2rad(np.linspace(-35, 35, scanner.LINES))
    depth = (np.arange(scanner.SAMPLES) + 0.5) * 0.2
    noise = (rng.normal(size=(40, scanner.LINES, scanner.SAMPLES, 2)) * [1, 1j]).sum(-1)
    envelope = np.abs(np.stack([scanner._point_spread(field, angle, depth, HEAD_SCANNER) for field in noise]))
    middle = envelope[:, 30:-30, 50:-50]
    ratio = middle.mean(0) / middle.std(0)
    assert ratio.mean() == pytest.approx(1.91, rel=0.06)


def test_interfaces_shine_by_the_squared_cosine_of_incidence():
    anatomy = block(None, lambda points: np.tanh(points[..., 1] / 2))
    bright = []
    for roll in (0, 30, 60):
        interface = polar(anatomy, Scene(probe_at(40, roll)))[1]
        line = scanner.LINES // 2
        bright.append(interface[line].max())
    assert np.array(bright) / bright[0] == pytest.approx([1, 0.75, 0.25], abs=0.04)


def test_targets_appear_at_their_depth():
    """A bright lump 40 mm deep, 10 mm lateral: its pixel maps back to its place; fast sound shows it nearer."""
    anatomy = block(lambda points: np.exp(-((points - [10, 0, 0]) ** 2).sum(-1) / 8) * 20)
    for speed_error in (0.0, 0.03):
        image = scanner.scan(anatomy, Scene(probe_at(40), speed_error=speed_error), seed=1).astype(float)
        image[: image.shape[0] // 4] = 0  # ring-down
        rows, columns = np.nonzero(image > 0.8 * image.max())
        x, y, _, _ = scanner.image_to_transducer() @ [columns.mean(), rows.mean(), 0, 1]
        face = HEAD_SCANNER.radius_mm
        radius = face + (np.hypot(10, 40 + face) - face) / (1 + speed_error)
        direction = np.array([10, 40 + HEAD_SCANNER.radius_mm]) / np.hypot(10, 40 + HEAD_SCANNER.radius_mm)
        expected = direction * radius - [0, HEAD_SCANNER.radius_mm]
        assert [x, y] == pytest.approx(expected.tolist(), abs=0.9)


def test_cavity_is_black_with_a_bright_rim():
    anatomy = block(lambda points: 0 * points[..., 0] + 0.5)
    backscatter, _, interface = (
        polar(anatomy, Scene(probe_at(40), cavity=(np.zeros(3), 9.0)))[index] for index in (0, 2, 1)
    )
    line = scanner.LINES // 2
    assert backscatter[line, 195:205].max() < 0.05
    assert abs(int(interface[line].argmax()) * 0.2 - 31) < 1 or abs(int(interface[line].argmax()) * 0.2 - 49) < 1


def test_target_error_of_a_shift_is_its_length():
    true = np.stack([probe_at(40), probe_at(30, 20)])
    points = cases.fan_targets(true)
    targets = points @ true[:, :3, :3].transpose(0, 2, 1) + true[:, None, :3, 3]
    case = cases.Case(np.zeros((2, 1, 1)), np.eye(4), true, true, targets, "T2", 0)
    shift = cases.rigid(np.array([3.0, 0, 4.0]), np.zeros(3))
    assert cases.target_error(shift, case) == pytest.approx(5.0)
    assert cases.target_error(np.eye(4), case) == pytest.approx(0.0)


def test_perturbations_stay_within_their_limits():
    rng, center = np.random.default_rng(0), np.array([10.0, 20, 30])
    for _ in range(50):
        matrix = cases.perturbation(rng, center, 6.0, 9.0)
        assert np.linalg.norm((matrix @ [*center, 1])[:3] - center) <= 6.0
        assert np.rad2deg(Rotation.from_matrix(matrix[:3, :3]).magnitude()) <= 9.0


def test_other_head_keeps_its_center_and_turns_far():
    center = np.array([0.0, -18.0, 10.0])
    displace = cases.another_body(np.random.default_rng(2), center)
    ahead = np.array([0.0, 40.0, 0.0])
    assert displace(center) == pytest.approx(center)
    assert np.linalg.norm(displace(center + ahead) - center - ahead) > 15


def test_gas_of_the_ct_is_elsewhere_on_the_day_of_the_ultrasound():
    """Four lumens in a block of bowel: where the CT has air, the ultrasound may have content, and the reverse."""
    tissues = np.full((40, 40, 24), body.NAMES.index("bowel"), dtype=np.uint8)
    lumens = np.zeros_like(tissues)
    for number in range(16):
        i, j = divmod(number, 4)
        lumens[10 * i + 2 : 10 * i + 8, 10 * j + 2 : 10 * j + 8, 6:18] = number + 1
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    anatomy = body.body(tissues, affine, np.zeros(3), np.array([0.0, 1.0, 0.0]), seed=4, lumens=lumens)
    center = (slice(None), slice(None), 12)
    gas_in_ct = [anatomy.seen[center][lumens[center] == n].mean() < -500 for n in range(1, 17)]
    gas_now = [anatomy.attenuation[center][lumens[center] == n].mean() > 5 for n in range(1, 17)]
    assert gas_in_ct != gas_now and any(gas_in_ct) and any(gas_now) and not all(gas_in_ct) and not all(gas_now)
    assert anatomy.seen.min() == -3024  # padding beyond the field of view, as scanners write it


@pytest.mark.slow
def test_a_torso_shows_liver_kidneys_bone_gas_and_metal():
    anatomy = body.torso(1, contrast=True)
    levels = anatomy.seen[::3, ::3, ::3]
    for low, high in ((-1100, -800), (-120, -70), (90, 125), (155, 190), (500, 800)):
        assert ((levels > low) & (levels < high)).mean() > 0.002
    assert anatomy.seen.max() > 1200
    case = cases.make_case(1, 2, "T2", anatomy)
    assert case.scanner.depth_mm == 130 and 0.2 < (case.images > 0).mean() < 0.9


@pytest.mark.slow
def test_cases_of_all_tiers_hold_the_truth():
    pytest.importorskip("nilearn")
    for tier in cases.TIERS:
        case = cases.make_case(3, 2, tier)
        again = cases.make_case(3, 2, tier)
        assert (case.images == again.images).all()
        error = cases.target_error(np.eye(4), case)
        limits = {"T2": (0, 1e-9), "T3": (0.2, 3.0), "T4": (0.3, 7.0), "T5": (0, 1e-9), "T6": (0, 1e-9)}[tier]
        assert limits[0] <= error.mean() <= limits[1]
        assert 0.2 < (case.images > 0).mean() < 0.9


def test_speckle_alone_shows_nothing_of_the_anatomy():
    rng = np.random.default_rng(0)
    images = np.zeros((3, 120, 160), np.uint8)
    images[:, 20:100, 30:130] = np.where(np.arange(100) < 50, 40, 200)
    noise = cases.speckle_alone(images, rng)
    assert ((noise > 0) == (images > 0)).all()
    left, right = noise[:, 20:100, 30:80].astype(float), noise[:, 20:100, 80:130].astype(float)
    assert abs(left.mean() - right.mean()) < 0.2 * noise[images > 0].std()
