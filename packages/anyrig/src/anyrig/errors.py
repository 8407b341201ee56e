"""Exceptions, all below :class:`AnyrigError`. Every message is one line that names the thing, the place and the fix."""

from __future__ import annotations


class AnyrigError(Exception):
    """Base of all errors of this package."""


class FileError(AnyrigError):
    """A file that cannot be read or written."""


class SkeletonError(AnyrigError):
    """Invalid fields of a skeleton, or a joint that a skeleton does not have."""


class ClipError(AnyrigError):
    """Invalid fields of a clip, or a clip of another skeleton."""


class SettingsError(AnyrigError):
    """An option with an invalid value."""


class FileWarning(UserWarning):
    """A file contradicts itself but has one plausible reading, which the message states."""
