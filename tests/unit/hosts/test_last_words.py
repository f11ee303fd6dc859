"""Why a guest did not start: QEMU's words, whichever way libvirt heard them."""

from __future__ import annotations

import pytest

from provision.hosts.hypervisor import last_words

MSR = "qemu-system-x86_64: error: failed to set MSR 0x10a to 0x4"
CLOCK = "2026-11-29T15:01:02.345678Z "


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (f"internal error: process exited while connecting to monitor: {CLOCK}{MSR}\n", MSR),
        (f"internal error: qemu unexpectedly closed the monitor: {CLOCK}{MSR}", MSR),
        (f"internal error: QEMU unexpectedly closed the monitor (vm='p'): {CLOCK}{MSR}\n{CLOCK}{MSR}", f"{MSR} {MSR}"),
        ("unsupported configuration: no emulator\nfor kvm", "unsupported configuration: no emulator for kvm"),
    ],
)
def test_equal_causes_are_equal_texts(said: str, words: str) -> None:
    assert last_words(said) == words
