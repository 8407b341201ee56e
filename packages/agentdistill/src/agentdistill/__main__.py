"""``python -m agentdistill`` is the command line."""

from agentdistill.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
