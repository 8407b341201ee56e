"""Everything that runs on the other side of the boundary: launcher, broker, template, nodes. Imports no more."""
