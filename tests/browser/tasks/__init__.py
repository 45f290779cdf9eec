"""Tasks that the browser meets."""
