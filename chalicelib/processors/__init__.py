"""The kinds of steps that ship with Nightshift, one small file each."""
