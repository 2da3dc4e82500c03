"""Attackers on the models: what each kind earns, what it costs others, and which copies are found.

    python -m benchmarks.learning.attackers                      every kind, three partitions, 60 samples
    python -m benchmarks.learning.attackers --samples 200 --kinds "honest;label-flip;backdoor"

Ten participants, two of them attackers of one kind. Sketches, settlement, reputations, copies, deliveries and what a
buyer makes of them are the market's own; there is no chain. Runs are cached in build/learning; the document is written
from all that are there.
"""
