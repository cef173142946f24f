"""The fixtures of the host, for its own tests."""

from .fixtures import host, host_of_session

__all__ = ["host", "host_of_session"]
