"""`python -m DiffUSLib.cli` is `diffus`."""

import sys

from DiffUSLib.cli import main

sys.exit(main())
