"""``python -m anyrig`` is the command line."""

from anyrig.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
