"""Layouts and slice views of the module's own."""
