"""Alignment of tracked ultrasound in the scene to the patient's volume."""
