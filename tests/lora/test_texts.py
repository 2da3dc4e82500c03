"""The texts of the LoRA example: read where the system keeps what is shared, and it says what is missing."""

import pytest

from examples.lora.texts import glosses

LINES = """  1 a line of the licence
00001740 03 n 02 guard_dog 0 001 @ 00001930 n 0000 | a dog that guards; "it barked"
"""


def test_definitions_are_read_from_the_systems_shared_files(tmp_path, monkeypatch):
    (tmp_path / "wordnet").mkdir()
    (tmp_path / "wordnet" / "data.noun").write_text(LINES)
    monkeypatch.setenv("XDG_DATA_DIRS", f"/nowhere:{tmp_path}")
    assert list(glosses()) == ['guard dog: a dog that guards; "it barked"']


def test_it_says_what_to_install_where_there_are_none(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path))
    with pytest.raises(SystemExit, match="apt install wordnet-base"):
        next(glosses())
