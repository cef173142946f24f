"""The renderer: propagation along scan lines, image formation, scan conversion, and the device that computes."""
