"""An ultrasound simulator to measure registration with: other physics than the renderer, and no code shared with it.

Images come from tissue probability maps (not from MRI intensities), Rayleigh speckle, interfaces by the squared cosine
of incidence, and errors as a tracked probe in an operation has them. NumPy, SciPy and nilearn's MNI152 maps only.
"""
