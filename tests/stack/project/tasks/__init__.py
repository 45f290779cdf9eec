"""The tasks that the stack's tests run."""
