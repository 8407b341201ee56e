"""Benchmarks: ratios within one run, not seconds. Each module has ``main(argv) -> int``."""
