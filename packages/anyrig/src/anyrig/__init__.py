"""Text-to-motion for any skeleton."""

__version__ = "0.1.0"
