"""What is done once at the start, in a process of its own."""

import os
import signal
import sys

import pytest

from visionality.cli.apart import apart
from visionality.cli.installation import CannotStart


def test_what_the_other_process_found_out_comes_back_and_nothing_else_does():
    assert "this_is_only_there" not in sys.modules

    def work():
        sys.modules["this_is_only_there"] = sys
        return os.getpid(), b"found"

    pid, found = apart(work)()
    assert found == b"found"
    assert pid != os.getpid()
    assert "this_is_only_there" not in sys.modules
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def test_a_fault_there_is_raised_here_as_it_is():
    def work():
        raise CannotStart("the database lacks 2 migrations")

    ended = apart(work)
    with pytest.raises(CannotStart, match="lacks 2 migrations"):
        ended()


def test_a_fault_that_no_process_can_hand_over_is_told_in_its_words():
    class OnlyHere(Exception):
        pass

    def work():
        raise OnlyHere("the disk is full")

    with pytest.raises(RuntimeError, match="OnlyHere: the disk is full"):
        apart(work)()


def test_a_process_that_was_killed_has_found_out_nothing():
    def work():
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(EOFError, match="was killed"):
        apart(work)()
