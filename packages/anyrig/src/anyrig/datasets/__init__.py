"""Published motion, with repairs of known faults in its files."""
