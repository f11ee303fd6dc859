"""Doubles of what cannot be had here, strict enough to fail who uses them wrongly."""
