"""A run as a trace: spans, and the two forms in which others take them."""
