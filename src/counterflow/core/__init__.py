"""What is true and what follows. Pure: no I/O, no clock, no random ids, no framework."""
