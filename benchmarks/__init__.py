"""Benchmarks: ratios within one run, one JSON line each. Never tests: a machine's speed proves nothing of the code."""
