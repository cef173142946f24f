"""The numbers of the clinical look, and what they were taken from.

MRI: fitted to three real frames of two patients (contrast T1 MRI and intra-operative ultrasound of one plane), each
patient with the same weight and each frame with gain curves of its own, then rounded:
`Testing/fit_default_look.py` repeats that. Fluid is not from that fit but from the tissue table: those slices show it
only in narrow sulci with their vessels, and a ventricle must be black. What is between fluid and gray matter, mostly
the partial volume of sulci and walls, is bright, and impedance rises between it and gray matter only: so a sulcus is
one line, not two.
Grain: that of a liver sweep in its own pixels, 0.8 to 0.9 mm along depth and 1.3 to 2.1 mm across lines.
Contact: the mean gain over the lines of those patients, made symmetric.
"""

from __future__ import annotations

from DiffUSLib.acoustics.tissue_curves import TissueCurves
from DiffUSLib.rendering.receiver import Receiver

INTERFACE_SCATTER_MM = 110.0
SPECULAR_MM = 45.0
DYNAMIC_RANGE_DB = 68.0

MRI_CURVES = TissueCurves(
    positions=(-0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.3, 2.7, 3.3),
    echogenicity_db=(-24.0, -20.0, -4.0, 4.0, 4.0, 0.0, -4.0, -6.0, 10.0, 17.0, 22.0),
    impedance_mrayl=(1.515, 1.522, 1.534, 1.54, 1.55, 1.57, 1.587, 1.595, 1.63, 1.645, 1.65),
)

CT_CURVES = TissueCurves(
    positions=(-1000.0, -800.0, -500.0, -150.0, -60.0, -20.0, 0.0, 25.0, 40.0, 55.0, 70.0, 180.0, 500.0, 1300.0),
    echogenicity_db=(-60.0, 6.0, 6.0, 1.5, 1.5, -20.0, -30.0, -26.0, -12.0, -3.0, 0.0, 0.0, 6.0, 9.5),
)
"""Echogenicity over HU, which say little about it: gas, fat and bone as in the tissue table, fluid and gel dark up to
about 30 HU, then a soft rise to parenchyma at 55 to 70 HU. Organ labels tell more."""

CONTACT_DB = (-18.0, -9.0, -3.0, 0.0, 0.0, 0.0, -3.0, -9.0, -18.0)

# Gain: the mean squared difference to the frames of both patients, weighted alike (compare_with_real_ultrasound.py).
RECEIVER = Receiver(
    gain_db=0.0, line_gain_db=CONTACT_DB, gamma=1.15, clutter_db=-24.0, lateral_scale=1.5, smoothing_mm=0.3
)
