"""Market Node: a blockchain-settled, decentralised exchange for machine-learning models."""

__version__ = "0.1.0"
