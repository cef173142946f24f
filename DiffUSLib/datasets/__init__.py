"""Data sets for machine learning: rendered, labeled, tracked frames by the million, from a recipe."""
