"""Deterministic simulation: stories as data, an independent oracle, planted bugs."""
