"""The numbers of the clinical look, and what they were taken from.

MRI: three real frames of two patients (contrast T1 MRI and intra-operative ultrasound of one plane). The curves were
fitted to them, each patient with the same weight and each frame with gain curves of its own
(`Testing/fit_default_look.py` repeats that), then rounded and changed by what a person sees in such frames:
Interfaces are thin lines (`image_formation.interfaces`), so what is between fluid and gray matter, mostly the partial
volume of sulci and walls, is no brighter than gray matter: the line is bright, not the blur around it.
Fluid is black as in the tissue table, but only where it is clearly fluid: ventricles lie between -0.25 and 0.1 in
five MRI of five patients. What is darker in T1 than the patient's own fluid is none (the tumor of case002: 13 to 20,
its ventricles 21 to 24), and what is brighter is so in part only: both are gray. A tumor exactly as dark as fluid
stays black, as intensity alone cannot tell them apart.
Gain and gray map: where there is contact, gray and white matter of real frames lie at a median of 0.17, 0.18 (case002)
and 0.22 (case046), half of all pixels below 0.17 to 0.24, and lines reach 0.6 to 0.8 (97 and 99 %):
`Testing/gray_of_real_frames.py`. A gamma well above 1 does that: dark, grainy parenchyma and bright lines.
Grain: that of a liver sweep in its own pixels, 0.8 to 0.9 mm along depth and 1.3 to 2.1 mm across lines.
Contact: the mean gain over the lines of those patients, made symmetric and milder, as one of the two has none of it.
"""

from __future__ import annotations

from DiffUSLib.acoustics.tissue_curves import TissueCurves
from DiffUSLib.rendering.receiver import Receiver

INTERFACE_SCATTER_MM = 500.0
INTERFACE_WIDTH_MM = 0.45
SULCUS_SCATTER_MM = 4000.0
SPECULAR_MM = 90.0
DYNAMIC_RANGE_DB = 60.0

MRI_CURVES = TissueCurves(
    positions=(-0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.3, 2.7, 3.3),
    echogenicity_db=(2.0, -10.0, -18.0, -6.0, -2.0, 0.0, 0.0, -2.0, -3.0, 0.0, 12.0, 20.0),
    impedance_mrayl=(1.515, 1.518, 1.522, 1.534, 1.54, 1.55, 1.57, 1.587, 1.595, 1.6, 1.63, 1.65),
)

CT_CURVES = TissueCurves(
    positions=(-1000.0, -800.0, -500.0, -150.0, -60.0, -20.0, 0.0, 25.0, 40.0, 55.0, 70.0, 180.0, 500.0, 1300.0),
    echogenicity_db=(-60.0, 6.0, 6.0, 1.5, 1.5, -20.0, -30.0, -26.0, -12.0, -3.0, 0.0, 0.0, 6.0, 9.5),
)
"""Echogenicity over HU, which say little about it: gas, fat and bone as in the tissue table, fluid and gel dark up to
about 30 HU, then a soft rise to parenchyma at 55 to 70 HU. Organ labels tell more."""

CONTACT_DB = (-16.0, -7.0, -2.0, 0.0, 0.0, 0.0, -2.0, -7.0, -16.0)

RECEIVER = Receiver(
    gain_db=11.0, line_gain_db=CONTACT_DB, gamma=1.7, clutter_db=-28.0, lateral_scale=1.3, smoothing_mm=0.2
)
