"""Sides compared: what providers report, what the bank booked, what the cases instructed."""
