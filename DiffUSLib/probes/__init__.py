"""Transducers: their geometry, presets, and where they stand on a patient."""
