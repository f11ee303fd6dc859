"""What all tests share."""

from __future__ import annotations

import os

from hypothesis import settings

# The same examples at every run: a property that fails once in ten runs is found by looking for it
# (MESHCTL_EXPLORE=1), not by somebody's CI.
settings.register_profile("steady", derandomize=True)
if not os.environ.get("MESHCTL_EXPLORE"):
    settings.load_profile("steady")
