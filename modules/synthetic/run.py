"""The image's entry point: Python that is told to start bare leaves this folder off its path."""

import sys

sys.path.insert(0, __file__.rpartition("/")[0])

from synthetic.__main__ import main

sys.exit(main(sys.argv[1:]))
