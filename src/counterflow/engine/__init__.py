"""Drains: facts of a shard become decisions, effects of a connection become outcomes, timers and feeds become facts."""
