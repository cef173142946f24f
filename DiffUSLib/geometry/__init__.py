"""Volumes, poses, and where a point of the world lies in a grid."""
