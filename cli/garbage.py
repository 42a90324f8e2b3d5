"""Python's garbage collector in a process that serves for weeks."""

import gc

# By default it looks after every 700 objects and, so often that one answer in a hundred waits a tenth of a second
# for it, at all there are, imported modules included.
THRESHOLDS = (10_000, 20, 20)


def spare_what_stays() -> None:
    """Have it leave alone what is there now, for good, and look at the rest less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
