"""Three Flower clients trade on a round of the market.

make flower        or:  FLOWER_PYTHON=…/bin/python python -m examples.flower
"""

import tempfile
from pathlib import Path

from examples.flower import deal, trainer
from examples.one_round import TOKEN, play


def main() -> None:
    deal.main()
    with tempfile.TemporaryDirectory() as folder:
        trainings = {name: trainer.training(name) for name in trainer.NAMES}
        traders, _ = play(trainings, Path(folder), "flower-digits", {"flower": "quickstart-pytorch"})
    for trader in traders:
        shares = trader.training.load_data()
        before, after = (
            float(trader.training.evaluate(_model(trader.training, weights), shares.holdout).mean())
            for weights in (trader.alone, trader.after)
        )
        print(
            f"{trader.name}: bought from {' and '.join(trader.sellers)}, paid {trader.paid / TOKEN:.2f}, earned "
            f"{trader.earned / TOKEN:.2f}; hold-out loss {before:.3f} alone, {after:.3f} after; rated {trader.rating}"
        )


def _model(training, weights):
    model = training.build_model()
    model.load_state_dict(weights)
    return model


if __name__ == "__main__":
    main()
