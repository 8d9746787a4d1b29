"""Tables and the few transactions that change them. SQL lives here and nowhere else."""
