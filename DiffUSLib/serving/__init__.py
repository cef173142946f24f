"""A virtual scanner for OpenIGTLink clients: poses in, live images out, as the PLUS toolkit names things."""
