"""What the market is worth to those in it, measured: `make bench-economics`."""
