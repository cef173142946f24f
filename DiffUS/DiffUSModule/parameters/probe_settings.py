"""From the panel's values to DiffUSLib's objects, and back."""

import json
from dataclasses import asdict

from ..looks.chosen_look import chosenAppearance
from .parameter_node import ProbeKind

IMAGE_SIZE_PX = 512
PRESET_ATTRIBUTE = "DiffUS.Preset"
PROBE_ATTRIBUTE = "DiffUS.Probe"


def presetNames():
    """(name, text for people) of the shipped probes."""
    from DiffUSLib import load_probe, probe_names

    return [(name, load_probe(name).name) for name in probe_names()]


def probeFromParameters(parameters):
    """DiffUSLib's Probe: the preset, with the geometry of the panel.

    Raises:
        DiffUSError: if the geometry is not possible.
    """
    from dataclasses import replace

    from DiffUSLib import load_probe

    geometry = parameters.probe
    return replace(
        load_probe(parameters.preset),
        kind=geometry.kind.value,
        field_of_view_deg=geometry.fieldOfView,
        radius_mm=geometry.radius,
        width_mm=geometry.width,
        depth_mm=geometry.depth,
        frequency_mhz=geometry.frequency,
        lines=geometry.lines,
    )


def writeProbeToParameters(parameters, preset, probe):
    """Show a probe in the panel; what its shape does not use keeps its value."""
    geometry = parameters.probe
    wasModified = parameters.StartModify()
    parameters.preset = preset
    geometry.kind = ProbeKind(probe.kind)
    if probe.kind != "linear":
        geometry.fieldOfView = float(probe.field_of_view_deg)
    if probe.kind == "curvilinear":
        geometry.radius = float(probe.radius_mm)
    if probe.kind == "linear":
        geometry.width = float(probe.width_mm)
    geometry.depth = float(probe.depth_mm)
    geometry.frequency = float(probe.frequency_mhz)
    geometry.lines = int(probe.lines)
    parameters.EndModify(wasModified)


def storeProbe(transformNode, preset, probe):
    """Keep the probe with its transducer, so that each of several transducers has its own."""
    transformNode.SetAttribute(PRESET_ATTRIBUTE, preset)
    transformNode.SetAttribute(PROBE_ATTRIBUTE, json.dumps(asdict(probe)))


def storedProbe(transformNode):
    """(preset, Probe) of a transducer, or None if it has none."""
    from DiffUSLib import Probe

    text = transformNode.GetAttribute(PROBE_ATTRIBUTE)
    return (transformNode.GetAttribute(PRESET_ATTRIBUTE), Probe(**json.loads(text))) if text else None


def renderSettingsFromParameters(parameters):
    """DiffUSLib's RenderSettings. The look of the paper is fixed; the panel's image settings belong to the others.

    Dynamic range and time gain are the look's, which makes up for the loss of the tissue that is seen, unless the user
    sets them.

    Raises:
        DiffUSError: if there is no such look.
    """
    from dataclasses import replace

    from DiffUSLib import look

    size = {"width_px": IMAGE_SIZE_PX, "height_px": IMAGE_SIZE_PX}
    appearance = chosenAppearance(parameters)
    if appearance is None:
        return look("paper", **size)
    settings = look(
        "clinical",
        samples=parameters.detail.value,
        gain_db=parameters.gain,
        speckle=parameters.speckle,
        propagation=parameters.propagation.value,
        elevation_planes=parameters.beamPlanes,
        **size,
    )
    settings = appearance.settings(settings)
    if parameters.scaleByHand:
        settings = replace(
            settings, dynamic_range_db=parameters.dynamicRange, tgc_db_cm_mhz=parameters.timeGain
        )
    return settings
