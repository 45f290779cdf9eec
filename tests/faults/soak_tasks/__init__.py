"""The tasks of the soak."""
