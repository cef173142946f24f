"""What the DiffUS module of 3D Slicer is made of; all computation is in DiffUSLib."""
