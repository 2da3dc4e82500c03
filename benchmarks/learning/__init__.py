"""What models are worth: the market beside local training and its peers, on real data.

    python -m benchmarks.learning table      every method on every setting
    python -m benchmarks.learning size       accuracy against the number of participants
    python -m benchmarks.learning owners     owners of different size
    python -m benchmarks.learning tune       the knobs of every method, on seeds that no table uses

Runs are cached in build/learning, so that any of them can be stopped, continued and shared by two processes.
"""
