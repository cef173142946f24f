"""Measured ultrasound: where its fan lies, and what of it is compared with an image."""
