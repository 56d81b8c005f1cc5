"""`python -m actmatch`."""

import sys

from .cli import main

sys.exit(main())
