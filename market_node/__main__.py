"""`python -m market_node` is `market-node`."""

import sys

from .cli import main

sys.exit(main())
