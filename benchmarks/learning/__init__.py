"""What models are worth: the market beside local training and its peers, on real data.

    python -m benchmarks.learning rates      the learning rate of each kind of data, on seeds that no table uses
    python -m benchmarks.learning tune       the knobs of every method, on a seed that no table uses
    python -m benchmarks.learning table      every method on every setting
    python -m benchmarks.learning rules      what each rule of the market is worth: the same without it
    python -m benchmarks.learning paper      every method at the paper's sample counts
    python -m benchmarks.learning owners     owners of different size
    python -m benchmarks.learning size       accuracy against the number of participants

Runs are cached in build/learning, so that any of them can be stopped, continued and shared by two processes.
"""
