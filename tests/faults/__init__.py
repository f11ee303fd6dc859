"""Faults at every mutating call of a run, on a real libvirt daemon: what is left is finished by one more run, and taken away by destroy."""
