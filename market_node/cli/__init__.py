"""The command line: `market-node`. One file per noun; what a command does is in `market_node`, how it looks is here.

No module here imports web3, torch or the devnet at its top, so that `--help` costs a tenth of a second.
"""

import sys

from .app import run as take
from .root import app


def main() -> int:
    """The console script. Returns the exit code."""
    return take(app, sys.argv[1:])
