"""What the privacy benchmark says of its figures is the worst of them, and it writes what it is asked for."""

import pytest

pytest.importorskip("opacus", reason="private training needs opacus: pip install 'market-node[privacy]'")

from benchmarks.document import TREE
from benchmarks.privacy import __main__ as command
from benchmarks.privacy.__main__ import ATTACKS, COLUMNS, HOW, SIZES, findings, texts
from benchmarks.privacy.targets import AS_LEARNING, COURSES, SELLERS

SHORT, PRIVATE = COURSES[None], COURSES[8.0]

ALL = (*ATTACKS, *(f"{count} sellers, {how}" for count in SELLERS for how in HOW))

ATTACKED = ["privacy-accuracy", "privacy-attacks", "privacy-deliveries", "privacy-collusion", "findings"]


def said_where(size, course, attack, area):
    """The findings where one attack on one kind of model has this AUC, and all others 0.5."""
    groups = {
        key: [{"attacks": {name: [0.5, 0.01] for name in ALL}}] for key in ((s, c) for s in SIZES for c in COLUMNS)
    }
    groups[size, course][0]["attacks"][attack][0] = area
    return findings(groups)


@pytest.mark.parametrize("course", [AS_LEARNING, SHORT])
@pytest.mark.parametrize(
    ("attack", "said"),
    [
        ("model, loss", "an AUC of 0.70 with 60 samples"),
        ("all sketches", "at most 0.70 with 60"),
        ("2 sellers, loss", "0.70 of 2"),
    ],
)
def test_what_leaks_without_privacy_is_said_of_the_worse_training(course, attack, said):
    assert said in said_where(60, course, attack, 0.7)


def test_a_private_models_leak_is_not_said_of_open_ones():
    assert "an AUC of 0.50 with 60 samples" in said_where(60, PRIVATE, "model, loss", 0.7)


@pytest.mark.parametrize(("course", "area"), [(AS_LEARNING, "0.50"), (SHORT, "0.70")])
def test_what_privacy_is_worth_is_said_beside_the_same_training(course, area):
    said = said_where(200, course, "model, loss", 0.7)
    assert f"0.50 at ε = 8, 0.50 at ε = 3, 0.50 at ε = 1; the same short training without it, {area}." in said


@pytest.mark.parametrize(
    ("only", "written"),
    [("attacks", ATTACKED), ("market", ["privacy-market"]), (None, [*ATTACKED, "privacy-market"])],
)
def test_only_what_is_asked_for_is_run_and_written(monkeypatch, only, written):
    ran = []
    monkeypatch.setattr(command, "attacked", lambda seeds, stored: ran.append("attacks") or {})
    monkeypatch.setattr(command, "traded", lambda seeds, stored: ran.append("market") or {})
    for name in ("accuracy", "found_out", "deliveries", "collusion", "findings", "market"):
        monkeypatch.setattr(command, name, lambda figures: "")
    assert [name for (_, name), _ in texts([0], False, only)] == written
    assert ran == ([only] if only else ["attacks", "market"])


def test_every_text_has_its_place():
    for (document, name), _ in texts([], True, None):
        assert (TREE / document).read_text(encoding="utf-8").count(f"<!-- /{name} -->") == 1
