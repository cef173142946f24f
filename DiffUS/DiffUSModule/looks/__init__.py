"""Looks of scanners: their list, their thumbnails, and one fitted to real ultrasound."""
