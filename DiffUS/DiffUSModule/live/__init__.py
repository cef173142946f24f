"""What runs beside the panel: threads, the live image, the maps of the patient, and what is said of them."""
