"""What all tests share."""

from __future__ import annotations

import os

from hypothesis import settings

# The same examples at every run: a property that fails once in ten runs is found by looking for it
# (MESHCTL_EXPLORE=1), not by somebody's CI. No deadlines: they measure what else the machine does.
settings.register_profile("steady", derandomize=True, deadline=None)
if not os.environ.get("MESHCTL_EXPLORE"):
    settings.load_profile("steady")
