"""From echoes to gray values: scatterers, point-spread function, display and the paper's artifacts."""
