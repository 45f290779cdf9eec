"""The steps of a running pipeline: one, a list of them, lists within steps, lists in threads."""
