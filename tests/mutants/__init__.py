"""Mutants: small faults planted in lines that keep data, secrets and other people's things safe. Each must be killed by a fast test."""
