"""pytest fixtures for tests on the host; a conftest.py imports what it offers."""

import pytest


@pytest.fixture(scope="session")
def host_of_session():
    """The one host of the test process."""
    pytest.importorskip("slicer", reason="slicer-core is not installed (it needs Python 3.13 or older)")
    pytest.importorskip("PySide6", reason="PySide6 is not installed")
    from . import start_host

    host = start_host()
    yield host
    host.close()


@pytest.fixture
def host(host_of_session):
    """An empty host; after the test nothing may have gone wrong unseen."""
    host_of_session.reset()
    host_of_session.failures.take()
    yield host_of_session
    strays = host_of_session.stray_attributes()
    host_of_session.reset()
    failures = host_of_session.failures.take()
    assert not failures, "\n".join(failures)
    assert not strays, f"attributes that PythonQt refuses were set: {strays}"
