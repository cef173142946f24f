"""Edges and sulci are lines at their analytic places, however blurred the volume shows them."""

import math

import pytest
import torch

from DiffUSLib.rendering.image_formation.interfaces import ThinInterfaces

STEP_MM, SPACING_MM, LINES, SAMPLES, WIDTH_MM = 0.2, 0.3, 120, 200, 0.45
FLUID, MATTER = 1.515, 1.59
BLUR_MM = 0.9


def found(impedance):
    spacing = torch.full((SAMPLES,), SPACING_MM, dtype=torch.float64)
    thin = ThinInterfaces(STEP_MM, spacing, LINES, WIDTH_MM)
    return [part[0] for part in thin(impedance[None])]


def distance_to_oblique_line(degrees):
    """(L, N) distance in mm of samples to a line through their middle, whose normal is so far from the beam."""
    x = (torch.arange(LINES, dtype=torch.float64)[:, None] - LINES / 2) * SPACING_MM
    y = (torch.arange(SAMPLES, dtype=torch.float64)[None] - SAMPLES / 2) * STEP_MM
    return math.cos(math.radians(degrees)) * y + math.sin(math.radians(degrees)) * x


def width_of_half_maximum(values, distance):
    near = distance.abs()[values > values.max() / 2]
    return 2 * float(near.max())


@pytest.mark.parametrize("degrees", [0, 30, 60, 90])
def test_a_blurred_edge_is_a_thin_line_where_it_is(degrees):
    distance = distance_to_oblique_line(degrees)
    share = torch.special.ndtr(distance / BLUR_MM)
    edges = found(FLUID + (MATTER - FLUID) * share)[0][20:-20, 20:-20]
    distance = distance[20:-20, 20:-20]
    assert float((edges * distance).sum() / edges.sum()) == pytest.approx(0, abs=0.1)
    # The gradient alone is as wide as the blur: 2.1 mm.
    assert width_of_half_maximum(edges, distance) < 1.4 < 2.35 * BLUR_MM


@pytest.mark.parametrize("degrees", [0, 30, 60, 90])
def test_a_sulcus_is_one_thin_line_in_its_middle(degrees):
    distance = distance_to_oblique_line(degrees)
    valley = MATTER - 0.04 * torch.exp(-0.5 * (distance / 1.2).square())
    sulci = found(valley)[1][20:-20, 20:-20]
    distance = distance[20:-20, 20:-20]
    assert width_of_half_maximum(sulci, distance) < 1.4  # the valley: 2.8 mm
    assert float(sulci[distance.abs() > 1.5].max()) < 0.05 * float(sulci.max())


def test_wide_fluid_has_walls_and_no_line_in_its_middle():
    distance = distance_to_oblique_line(20)
    wall = torch.special.ndtr((distance.abs() - 5.0) / BLUR_MM)
    edges, sulci = (part[30:-30, 30:-30] for part in found(FLUID + (MATTER - FLUID) * wall))
    distance = distance[30:-30, 30:-30].abs()
    assert float(sulci[distance < 3].max()) == 0
    assert float(edges[distance < 3].max()) < 0.05 * float(edges.max())
    assert float((distance[edges > edges.max() / 2] - 5).abs().max()) < 0.8


def test_noise_of_an_mri_is_much_weaker_than_a_sulcus():
    generator = torch.Generator().manual_seed(5)
    noise = torch.nn.functional.interpolate(  # voxels of 1 mm
        torch.randn(1, 1, 36, 40, generator=generator, dtype=torch.float64), size=(LINES, SAMPLES), mode="bilinear"
    )[0, 0]
    sulcus = found(MATTER - 0.04 * torch.exp(-0.5 * (distance_to_oblique_line(20) / 1.2).square()))[1].max()
    assert float(found(MATTER + 0.004 * noise)[1].mean()) < 0.02 * float(sulcus)


def test_even_tissue_has_no_interfaces_and_gradients_reach_impedance():
    even = torch.full((LINES, SAMPLES), MATTER, dtype=torch.float64)
    assert all(float(part.abs().max()) < 1e-6 for part in found(even))
    generator = torch.Generator().manual_seed(6)
    impedance = 1.56 + 0.01 * torch.randn(1, 6, 8, generator=generator, dtype=torch.float64)
    thin = ThinInterfaces(1.0, torch.full((8,), 0.8, dtype=torch.float64), 6, WIDTH_MM)
    assert torch.autograd.gradcheck(thin, impedance.requires_grad_(), atol=1e-4)
