"""Benchmarks of agentdistill, as ratios within one run, and attacks on its sandbox: ``python -m benchmarks NAME``."""
