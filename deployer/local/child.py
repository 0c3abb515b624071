"""Become another program, one that ends when its parent is killed.

`python child.py PARENT SIGNAL USER PROGRAM WORDS…`. It is a program of its own because between fork and exec of a
process with threads nothing else is safe to run, and because the kernel forgets the wish when the user changes, so it
has to come after that and before the program.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


def main(words: list[str]) -> None:
    """Drop to the user, ask the kernel for the signal, and become the program."""
    parent, signal, user = (int(word) for word in words[:3])
    if user:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0)
    if os.getppid() != parent:
        # It was killed before the kernel knew.
        sys.exit(1)
    os.execv(words[3], words[3:])  # noqa: S606  # no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
