"""Python's garbage collector in a process that serves for weeks."""

import gc

# By default it looks for garbage after every 700 new objects, now and then among all there are, imported modules
# included: one answer in a hundred waited a tenth of a second for that.
THRESHOLDS = (10_000, 20, 20)


def spare_what_stays() -> None:
    """Have it leave alone what is there now, for good, and look at the rest less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
