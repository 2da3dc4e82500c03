"""`export` writes an account's books: what the escrow says, and what the chain was paid for gas."""

import csv
import io
import json

from shell import TOKEN


def test_the_rows_are_what_the_account_has_and_has_paid_for_gas(fresh):
    assert fresh("withdraw", 40).code == 0
    run = fresh("export")
    assert run.code == 0, run.err
    rows = list(csv.DictReader(io.StringIO(run.out)))
    assert [(row["kind"], row["amount"]) for row in rows if row["kind"] != "gas"] == [
        ("funded", "100." + "0" * 18),
        ("withdrawn", "-40." + "0" * 18),
    ]
    spent = [int(row["wei"]) for row in rows if row["kind"] == "gas"]
    assert len(spent) == 3 and all(wei < 0 for wei in spent)  # mint, fund, withdraw
    assert sum(int(row["amount_base_units"]) for row in rows) == 60 * TOKEN
    document = fresh("export", "--json").document
    assert document["available"] == str(60 * TOKEN) and len(document["payments"]) == len(rows)


def test_a_file_is_written_whole_with_its_line_ends(fresh, tmp_path):
    assert fresh("export", "--out", tmp_path / "books.csv").code == 0
    written = (tmp_path / "books.csv").read_bytes()
    assert written.startswith(b"time,block,transaction,round,role,kind,") and written.endswith(b"\r\n")


def test_another_accounts_payments_are_public_too(fresh, node):
    address = json.loads((node.home / "keys" / "account.json").read_text())["address"]
    document = fresh("export", "--account", f"0x{address.removeprefix('0x')}", "--json").document
    assert document["payments"][0]["kind"] == "funded"
    assert "gas" not in {row["kind"] for row in document["payments"]}
