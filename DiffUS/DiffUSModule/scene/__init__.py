"""Nodes of the MRML scene that the module makes and reads."""
