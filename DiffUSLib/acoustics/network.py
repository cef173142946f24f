"""A small network from MRI intensity to acoustic properties, trained on the anchors of one volume."""

from __future__ import annotations

import itertools

import torch

from DiffUSLib.acoustics.anchors import Anchor
from DiffUSLib.acoustics.curves import interpolate
from DiffUSLib.acoustics.tissue import tissue
from DiffUSLib.errors import DiffUSError

_HIDDEN = 24
_SAMPLES = 512
_STEPS = 150
_PLATEAU = 0.25  # share of the distance to the next anchor within which an intensity is still that tissue


def _properties(anchors: tuple[Anchor, ...]) -> torch.Tensor:
    """(A, 3) impedance, attenuation and echogenicity of the anchors' tissues.

    The published attenuations of gray and white matter scatter over overlapping ranges (0.09-0.67 and 0.56-1.21
    dB/cm/MHz). Their means would draw dark and bright bands below gyri, which real images do not show: both get that
    of brain.
    """
    rows = [tissue(anchor.tissue) for anchor in anchors]
    brain = tissue("brain").attenuation_db_cm_mhz
    pooled = [brain if r.name in ("gray matter", "white matter") else r.attenuation_db_cm_mhz for r in rows]
    values = [(a.impedance, loss, r.echogenicity) for a, r, loss in zip(anchors, rows, pooled, strict=True)]
    return torch.tensor(values)


class ImpedanceNetwork(torch.nn.Module):
    """Multi-layer perceptron from intensity to (impedance in MRayl, attenuation in dB/cm/MHz, echogenicity).

    Intensities are normalized so that the anchors lie evenly from 0 (darkest) to 1 (brightest); what is darker or
    brighter counts as the first or last anchor. Outputs stay within the values of the anchors' tissues.

    Args:
        anchors: at least two, at different intensities.
        seed: of the initial weights and of the training samples; the global random state is not touched.

    Raises:
        DiffUSError: if there are fewer than two anchors, or two at one intensity.
    """

    def __init__(self, anchors: tuple[Anchor, ...], seed: int = 0):
        super().__init__()
        self.lowest: torch.Tensor
        self.range: torch.Tensor
        self.anchors = tuple(sorted(anchors, key=lambda anchor: anchor.intensity))
        intensities = [anchor.intensity for anchor in self.anchors]
        if len(set(intensities)) < 2 or len(set(intensities)) < len(intensities):
            raise DiffUSError("at least two anchors are needed, each at an intensity of its own.")
        targets = _properties(self.anchors)
        self.register_buffer("lowest", targets.amin(dim=0), persistent=False)
        self.register_buffer("range", (targets.amax(dim=0) - targets.amin(dim=0)).clamp_min(1e-6), persistent=False)
        sizes = (1, _HIDDEN, _HIDDEN, 3)
        layers = [
            torch.nn.utils.skip_init(torch.nn.Linear, inputs, outputs) for inputs, outputs in itertools.pairwise(sizes)
        ]
        self.layers = torch.nn.Sequential(layers[0], torch.nn.Tanh(), layers[1], torch.nn.Tanh(), layers[2])
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for layer, scale in zip(layers, (6.0, 1.5, 1.0), strict=True):
                layer.weight.normal_(0.0, scale / layer.in_features**0.5, generator=generator)
                layer.bias.uniform_(-scale, scale, generator=generator)
        self._generator = generator

    def forward(self, intensities: torch.Tensor) -> torch.Tensor:
        """(...) intensities in the units of the volume -> (..., 3)."""
        normalized = interpolate(
            intensities.to(self.lowest.dtype),
            [anchor.intensity for anchor in self.anchors],
            torch.linspace(0.0, 1.0, len(self.anchors)),
        )
        outputs = self.layers(normalized.unsqueeze(-1))
        return self.lowest + self.range * outputs.clamp(0.0, 1.0)

    def train_on_anchors(self) -> float:
        """Fit the network to pairs (intensity, tissue) around the anchors; returns the largest residual (0-1)."""
        knots, shares = self._curve_knots()
        samples = torch.rand(_SAMPLES, 1, generator=self._generator)
        targets = torch.cat([interpolate(samples, knots, shares[:, c]) for c in range(3)], dim=1)
        optimizer = torch.optim.LBFGS(
            self.layers.parameters(), max_iter=_STEPS, history_size=20, line_search_fn="strong_wolfe"
        )

        def loss() -> torch.Tensor:
            optimizer.zero_grad()
            value = (self.layers(samples) - targets).square().mean()
            value.backward()
            return value

        with torch.enable_grad():
            optimizer.step(loss)
        self.requires_grad_(False)
        return float((self.layers(samples).clamp(0, 1) - targets).abs().max())

    def _curve_knots(self) -> tuple[torch.Tensor, torch.Tensor]:
        """A plateau around every anchor and a straight line from one to the next, in normalized units."""
        intensities = torch.tensor([anchor.intensity for anchor in self.anchors], dtype=torch.float64)
        spreads = torch.tensor([anchor.spread for anchor in self.anchors], dtype=torch.float64)
        step = 1.0 / (len(self.anchors) - 1)
        places = torch.arange(len(self.anchors)) * step
        gaps = intensities.diff()
        left = ((spreads[1:] / gaps).clamp_max(_PLATEAU) * step).float()
        right = ((spreads[:-1] / gaps).clamp_max(_PLATEAU) * step).float()
        shares = (_properties(self.anchors) - self.lowest) / self.range
        knots = torch.stack([places[:-1] + right, places[1:] - left], dim=1).flatten()
        heights = torch.stack([shares[:-1], shares[1:]], dim=1).flatten(0, 1)
        return knots, heights

    def curve(self, intensities: torch.Tensor) -> torch.Tensor:
        """Impedance in MRayl over intensity, to be plotted as in Fig. 1 of the paper; same shape as given."""
        return self(torch.as_tensor(intensities, dtype=torch.float32))[..., 0]


def train_network(anchors: tuple[Anchor, ...], seed: int = 0) -> ImpedanceNetwork:
    """Train a network on anchors; the same anchors and seed give the same weights."""
    network = ImpedanceNetwork(anchors, seed)
    network.train_on_anchors()
    return network
