"""For all tests."""

import os

# A Ray that somebody else runs on this machine, or another test, is not joined.
os.environ["RAY_ADDRESS"] = "local"
