"""What can go wrong, as one tree. Every message is one line that names the thing, the place and the way out.

    AnyrigError
    ├── FileError      a file that cannot be read, or cannot be written, as what it should be
    ├── SkeletonError  joints that make no skeleton, or a joint that a skeleton does not have
    ├── ClipError      arrays that make no clip for their skeleton
    └── SettingsError  an option with a value that cannot be honoured

``FileWarning`` is for files that contradict themselves in a way that leaves no doubt about the motion.
"""

from __future__ import annotations


class AnyrigError(Exception):
    """Base of all errors raised on purpose."""


class FileError(AnyrigError):
    """A file that cannot be read, or cannot be written, as what it should be."""


class SkeletonError(AnyrigError):
    """Joints that make no skeleton, or a joint that a skeleton does not have."""


class ClipError(AnyrigError):
    """Arrays that make no clip for their skeleton."""


class SettingsError(AnyrigError):
    """An option with a value that cannot be honoured."""


class FileWarning(UserWarning):
    """A file contradicts itself, but can be read: what was made of it."""
