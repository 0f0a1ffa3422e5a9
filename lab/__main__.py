"""`python3 -m lab …`, run from the checkout's root."""

import sys

from lab.cli import main

sys.exit(main(sys.argv[1:]))
