"""What the user has set: the parameter node, its sets, and how both are shown in the panel."""
