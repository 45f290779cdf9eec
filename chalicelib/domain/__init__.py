"""Pure rules and words of Nightshift: the standard library and pydantic, nothing of AWS."""
