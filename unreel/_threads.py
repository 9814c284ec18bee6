"""Imported first: lets torch's threads sleep while they wait for each other.

By default they spin, and when anything else wants a core a spinning thread waits for one that does not run: with busy
neighbours on two cores a chunk of `dream` took 1.2 s spinning and 0.2 s sleeping. The variable is read when torch is
imported; one that is set already is left alone.
"""

import os
import sys

if "torch" not in sys.modules:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
