"""A brain shift that is known, found without a search; and what the scene shows of it."""

import time

import numpy as np
import pytest
import torch

from Testing.Module.ultrasound import add_case, align, choose, middle_of

SENTENCE = "Frames that were held out agree better, says the test."
KEPT_RIGID = "Frames that were held out agree no better, says the test."
NEXT_VIEW = "One more image would help, says the test" + ", at length" * 20 + "."
LENGTH_MM = 4.0
STEPS = 6


def known_warp(middle):
    """A displacement of some mm around a point in RAS."""
    from DiffUSLib.geometry.bspline import Knots, Warp

    knots = Knots.around(np.array(middle)[None], 15.0, 45.0)
    random = np.random.default_rng(3).normal(size=(knots.count, 3))
    return Warp(knots, LENGTH_MM * random / np.abs(random).max())


def error_mm(points_ras, middle):
    """The map of the test: a slope along each axis, which linear interpolation keeps."""
    return 2.0 + (np.asarray(points_ras) - middle) @ [0.01, -0.005, 0.02]


@pytest.fixture
def known(monkeypatch, case, error):
    """The library's searches end at once with what is known; settings of the test are attributes of the result."""
    import DiffUSLib
    from DiffUSLib.geometry.volume import Volume
    from DiffUSLib.registration.alignment import RegistrationResult
    from DiffUSLib.registration.deformation import DeformationProgress, DeformationResult
    from DiffUSLib.registration.error_map import ErrorMap
    from DiffUSLib.registration.trust import Evidence

    class Known:
        """What the test decides, and the truth."""

        is_better, verdict, seconds_per_step, failure = True, "accept", 0.0, None
        middle = middle_of(case)
        warp = known_warp(middle)
        correction = np.linalg.inv(error)

    class Alignment:
        def __init__(self, volume, slices, settings, maps):
            evidence = Evidence(9.0, 9.0, 9.0, 0.0, (0.1, 0.1, 0.1), 1.0, 0.1, 0.1)
            self.result = RegistrationResult(
                torch.from_numpy(Known.correction), 1.0, Known.verdict, ["So it is."], 0.99, (0.5, 1.0), 0.1, 0.9,
                5.0, (1.0, 2.0, 3.0), (0.1, 0.1, 0.1), None, evidence, 0.1, "cpu", 0,
            )  # fmt: skip

        def steps(self):
            return iter(())

    class Deformation:
        def __init__(self, volume, slices, rigid, settings=None, maps=None):
            where = np.abs(slices.transducer_to_ras.numpy() - error @ case.tracked).max()
            assert where < 1.0, "as the tracking has them, but for how well the fan was found"
            assert np.allclose(rigid.correction_ras.numpy(), Known.correction)

        def steps(self):
            for step in range(STEPS):
                if Known.failure is not None:
                    raise Known.failure
                time.sleep(Known.seconds_per_step)
                yield DeformationProgress("halves", step, 0.0)
            warp = Known.warp if Known.is_better else Known.warp.scaled(0.0)
            sentence = SENTENCE if Known.is_better else KEPT_RIGID
            self.result = DeformationResult(
                warp, Known.is_better, sentence, (1.0, 3.0), (1.5, 3.5), 0.8, 1.2, 0, None, 0.1
            )

    def error_map(deformation):
        yield
        index = np.stack(np.meshgrid(*[np.arange(21)] * 3, indexing="ij"), -1)[..., ::-1]
        place = np.diag([5.0, 5.0, 5.0, 1.0])
        place[:3, 3] = Known.middle - 50.0
        values = error_mm(index * 5.0 + place[:3, 3], Known.middle)
        volumes = [Volume(torch.from_numpy(share * values).float(), torch.from_numpy(place)) for share in (0.5, 1.0)]
        return ErrorMap(*volumes, NEXT_VIEW, (1.0, 0.9))

    for name, value in (("Alignment", Alignment), ("Deformation", Deformation), ("error_map", error_map)):
        monkeypatch.setattr(DiffUSLib, name, value)
    return Known


@pytest.fixture
def aligned(host, prepared, case, error, known):
    """The module after an alignment, with the section open."""
    choose(host, prepared, add_case(case, error))
    align(host, prepared)
    prepared.ui.brainShiftSection.collapsed = False
    host.process_events()
    return prepared


def find(host, widget):
    """Press the button and wait for the end."""
    widget.ui.shiftButton.click()
    host.wait_until(lambda: not widget.session.shift.isBusy, 120)
    host.process_events()


@pytest.fixture
def found(host, aligned):
    """After the search."""
    find(host, aligned)
    return aligned


def all_nodes():
    """IDs of all nodes but those of a scene that are its own business."""
    import slicer

    return {slicer.mrmlScene.GetNthNode(index).GetID() for index in range(slicer.mrmlScene.GetNumberOfNodes())}


def layers_of_patient_view():
    """Names of the background and foreground volume of the patient's view."""
    import slicer

    composite = slicer.app.layoutManager().sliceWidget("DiffUSPatient").mrmlSliceCompositeNode()
    ids = (composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID())
    return tuple(slicer.mrmlScene.GetNodeByID(nodeID).GetName() if nodeID else None for nodeID in ids)


def from_world(node, points):
    """(P, 3) where Slicer takes what it shows of a transformed node at points (P, 3) of the world."""
    import vtk

    transform = vtk.vtkGeneralTransform()
    node.GetTransformFromWorld(transform)
    return np.array([transform.TransformPoint(point) for point in points])
