"""Keeps the tests of one file on one worker, so that what a file sets up for all its tests is set up once."""

from __future__ import annotations

import pytest


@pytest.hookimpl(tryfirst=True)  # the groups are read by pytest-xdist at the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
