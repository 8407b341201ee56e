"""Motion that others made, read with what its files are known to get wrong put right."""
