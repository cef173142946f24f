"""How alike a rendered (or MRI) image and an ultrasound image are. Every measure grows with likeness.

Both measures take `(moving, fixed, mask)`: moving (B, H, W) or (B, C, H, W), fixed (B or 1, H, W), mask (H, W) or
(B or 1, H, W). They return (B,) and are differentiable to both images.
"""

from DiffUSLib.similarity.lc2 import lc2
from DiffUSLib.similarity.regression import regression

__all__ = ["lc2", "regression"]
