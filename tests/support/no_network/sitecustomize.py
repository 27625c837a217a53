"""Imported by every Python that a test starts, since this folder is on its PYTHONPATH."""

from loopback_only import refuse_network

refuse_network()
