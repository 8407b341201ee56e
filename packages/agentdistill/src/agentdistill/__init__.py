"""Distil a strong model's tool-using behaviour into small language models."""

__version__ = "0.1.0"
