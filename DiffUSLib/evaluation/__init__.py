"""How good and how fast it is: protocols, baselines, clinical landmarks, the benchmark of speed."""
