"""Tests of the room `run` that need no hypervisor."""
