"""Counts checks, and says which failed and why."""

import contextlib
import traceback


class Checks:
    """How many passed and failed so far."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    @contextlib.contextmanager
    def check(self, rule):
        """One rule; it holds unless the block raises."""
        try:
            yield
        except Exception:  # whatever a client raises is a failure of the rule, not of the run
            self.failed += 1
            print(f"FAILED  {rule}\n{traceback.format_exc()}", flush=True)
        else:
            self.passed += 1
            print(f"ok      {rule}", flush=True)


def equal(actual, expected, what=""):
    """Fails with both values, the long ones cut."""
    if actual != expected:
        raise AssertionError(f"{what}: {actual!r:.200} instead of {expected!r:.200}")
