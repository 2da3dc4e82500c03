"""What differential privacy costs, and what attacks find out with it and without.

    python -m benchmarks.privacy            both tables, and what deliveries and colluding buyers give away

Runs are cached in build/privacy, so that they can be stopped and continued.
"""
