"""Skeletons and clips in and out of files: BVH."""
