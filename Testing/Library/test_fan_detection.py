"""Fan detection: synthetic fans of known geometry, real images measured by hand, and images that hold no fan."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from DiffUSLib.errors import DiffUSError
from DiffUSLib.ultrasound.fan_detection import FanGeometry, detect_fan


def painted_fan(shape, apex, direction_deg, half_angle_deg, near, far, seed=0, burned_in=True):
    """A speckled sector with a dark patch inside, and text-like blocks outside; drawn with complex polar numbers."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(shape)
    offset = (columns - apex[0] + 1j * (rows - apex[1])) * np.exp(-1j * np.deg2rad(direction_deg))
    radius = np.abs(offset)
    inside = (np.abs(np.angle(offset, deg=True)) <= half_angle_deg) & (radius >= near) & (radius <= far)
    speckle = ndimage.gaussian_filter(rng.rayleigh(60, shape), 1) + 3
    shadow = (np.angle(offset, deg=True) > 0.3 * half_angle_deg) & (radius > 0.6 * far)
    image = np.where(inside, np.where(shadow, 4 + rng.random(shape) * 3, speckle), 0)
    if burned_in:
        for row, column in ((4, 4), (4, shape[1] - 30), (shape[0] - 10, 4)):
            block = (slice(row, row + 6), slice(column, column + 24))
            letters = np.kron(rng.integers(0, 2, (3, 12)), np.ones((2, 2))) * 230
            image[block] = np.where(inside[block], image[block], letters)
    return np.minimum(image, 255).astype(np.uint8)


@pytest.mark.slow
@settings(
    max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
)
@given(
    half_angle=st.floats(25, 50),  # with `near`: the face is at least 20 pixels wide
    near=st.floats(25, 80),
    length=st.floats(120, 200),
    tilt=st.floats(-4, 4),
    side=st.sampled_from([90.0, 0.0, -90.0, 180.0]),
    seed=st.integers(0, 1000),
)
def test_known_fans_are_recovered(half_angle, near, length, tilt, side, seed):
    shape, center = (480, 480), np.array([240.0, 240.0])
    direction = side + tilt
    along = np.array([np.cos(np.deg2rad(direction)), np.sin(np.deg2rad(direction))])
    apex = center - along * (near + length / 2)
    fan = detect_fan(painted_fan(shape, apex, direction, half_angle, near, near + length, seed))
    assert fan.kind == "curvilinear"
    assert (fan.direction_deg - direction + 180) % 360 - 180 == pytest.approx(0, abs=0.4)
    assert fan.half_angle_deg == pytest.approx(half_angle, abs=0.4)
    assert fan.far_px - fan.near_px == pytest.approx(length, abs=1)
    # The face is where the beams start; the apex itself is an extrapolation, so a little less sure.
    face = np.asarray(fan.apex_px) + fan.near_px * along
    assert np.abs(face - (apex + near * along)).max() < 1
    assert np.hypot(*(np.asarray(fan.apex_px) - apex)) < 2
    assert fan.confidence > 0.8


def test_phased_array_has_its_apex_in_the_face():
    fan = detect_fan(painted_fan((300, 400), (200, 20), 90, 40, 0, 250))
    assert fan.kind == "sector"
    assert fan.near_px == 0
    assert np.hypot(fan.apex_px[0] - 200, fan.apex_px[1] - 20) < 4


def test_rectangle_is_linear():
    image = np.zeros((300, 400), dtype=np.uint8)
    image[21:281, 90:311] = np.random.default_rng(3).integers(5, 200, (260, 221))
    image[5:11, 5:60:2] = 255
    fan = detect_fan(image)
    assert fan.kind == "linear"
    assert fan.apex_px == pytest.approx((200, 20.5), abs=1)
    assert 2 * fan.half_width_px == pytest.approx(221, abs=2)
    assert fan.far_px == pytest.approx(260, abs=2)
    assert fan.to_probe((0.2, 0.2), 5.0).width_mm == pytest.approx(44.2, abs=0.4)


def test_linear_transducer_side_can_be_named():
    image = np.zeros((300, 400), dtype=np.uint8)
    image[21:281, 90:311] = 100
    fan = detect_fan(image, transducer_side="left")
    assert fan.direction_deg == pytest.approx(0, abs=0.5)
    assert fan.apex_px == pytest.approx((89.5, 150.5), abs=1)


def test_cut_fan_keeps_its_circle():
    """The window of the scanner cuts both sides and the deepest part: apex and opening must survive."""
    image = painted_fan((400, 500), (250, 10), 90, 40, 60, 350, burned_in=False)
    image[:, :110] = 0
    image[:, 391:] = 0
    fan = detect_fan(image)
    assert np.hypot(fan.apex_px[0] - 250, fan.apex_px[1] - 10) < 6
    assert fan.half_angle_deg == pytest.approx(40, abs=0.4)
    assert not fan.mask[:, :108].any()


@pytest.mark.parametrize(
    ("name", "apex", "half_angle", "near", "far", "corner"),
    # Face corners and arcs measured by hand on a five-fold enlargement of the images.
    [
        ("case002_k050_iUS.png", (-8, 96), 34.5, 48, 175, (33, 69)),
        ("case002_k070_iUS.png", (-10.5, 98.5), 34.5, 48, 175, (31, 71)),
    ],
)
def test_intraoperative_images(shared_data, name, apex, half_angle, near, far, corner):
    image_module = pytest.importorskip("PIL.Image")
    fan = detect_fan(np.asarray(image_module.open(shared_data / name)))
    assert fan.kind == "curvilinear"
    assert fan.direction_deg == pytest.approx(0, abs=1)
    assert fan.apex_px == pytest.approx(apex, abs=2)
    assert fan.half_angle_deg == pytest.approx(half_angle, abs=1)
    assert (fan.near_px, fan.far_px) == pytest.approx((near, far), abs=2)
    assert np.hypot(*(fan.corners_px() - corner).T).min() < 2.5
    assert fan.confidence > 0.7  # a side of k070 is black


def test_liver_sweep(shared_data):
    sitk = pytest.importorskip("SimpleITK")
    frames = sitk.GetArrayFromImage(sitk.ReadImage(str(shared_data / "liver_sweep35.igs.mha")))
    for image in (frames, frames[17]):
        fan = detect_fan(image)
        assert fan.kind == "curvilinear"
        # Corners by hand on the brightest frame: face (288, 1) and (452, 1), deep (1, 494) and (736, 494), bottom 592.
        for corner in ((288, 1), (452, 1), (1, 494), (736, 494)):
            assert np.hypot(*(fan.corners_px() - corner).T).min() < 7
        assert fan.apex_px[1] + fan.far_px == pytest.approx(592.5, abs=5)
        assert fan.confidence > 0.8


def test_spine_phantom_is_linear(shared_data):
    sitk = pytest.importorskip("SimpleITK")
    path = shared_data / "plus_SpinePhantomFreehand.igs.mha"
    frames = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    for image in (frames, frames[10]):
        fan = detect_fan(image)
        assert fan.kind == "linear"
        left, top, right, bottom = 187, 12, 631, 601  # by hand
        assert fan.apex_px == pytest.approx(((left + right) / 2, top - 0.5), abs=3)
        assert fan.half_width_px * 2 == pytest.approx(right - left + 1, abs=4)
        assert fan.far_px == pytest.approx(bottom - top + 1, abs=4)


def test_bad_images_are_refused():
    with pytest.raises(DiffUSError, match="empty"):
        detect_fan(np.zeros((0, 100, 100)))
    with pytest.raises(DiffUSError, match="constant"):
        detect_fan(np.full((100, 100), 7))
    with pytest.raises(DiffUSError, match="NaN"):
        detect_fan(np.full((100, 100), np.nan))
    with pytest.raises(DiffUSError, match="fan"):
        detect_fan(np.random.default_rng(0).integers(0, 255, (200, 200)))
    with pytest.raises(DiffUSError, match="side"):
        detect_fan(np.eye(100), transducer_side="above")


@pytest.mark.parametrize("name", ["camera", "coins", "moon", "astronaut", "coffee"])
def test_photographs_are_refused(name):
    data = pytest.importorskip("skimage.data")
    picture = getattr(data, name)()
    with pytest.raises(DiffUSError, match="fan"):
        detect_fan(picture if picture.ndim == 2 else picture.mean(axis=2))


def test_image_to_transducer_puts_the_face_at_the_origin():
    fan = FanGeometry("curvilinear", (-8.0, 96.0), 0.0, 34.0, 48.0, 175.0, 0.0, (192, 192), (0, 0, 191, 191), 1.0)
    matrix = fan.image_to_transducer((0.5, 0.5))
    assert matrix @ [40, 96, 0, 1] == pytest.approx([0, 0, 0, 1])
    assert matrix @ [140, 96, 0, 1] == pytest.approx([0, 50, 0, 1])
    # A rotation without mirror image: its determinant is positive.
    assert np.linalg.det(matrix[:3, :3]) == pytest.approx(0.5**3)
    upright = FanGeometry("linear", (50.0, 10.0), 90.0, 0.0, 0.0, 80.0, 40.0, (100, 100), (0, 0, 99, 99), 1.0)
    assert upright.image_to_transducer((0.5, 0.5)) @ [60, 30, 0, 1] == pytest.approx([5, 10, 0, 1])
    with pytest.raises(DiffUSError, match="spacing"):
        fan.image_to_transducer((0.5, 0.7))
