"""The module's own Test class, as Slicer's Reload and Test and its build-time tests run it."""

import sys
import unittest


def ownTestOfTheModule(story):
    """Every test of DiffUSTest."""
    import DiffUS

    suite = unittest.TestLoader().loadTestsFromTestCase(DiffUS.DiffUSTest)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    assert result.testsRun > 0
    assert not result.skipped, "PyTorch is there, so nothing may be skipped"
    assert result.wasSuccessful(), "\n".join(text for _test, text in [*result.failures, *result.errors])
