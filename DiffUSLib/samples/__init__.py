"""Anatomy made on the spot."""
