"""Proves what the files beside this one claim, one line per claim: python tests/symbolic/prove.py

* `…Proof.sol`: halmos, which runs the bytecode for all values at once and asks a solver whether an assertion can fail.
* `…Exhaustive.sol`: forge, which runs it for every value within the bounds that the file states.
* `gain_lemmas.py`: z3, over the integers.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
TOOLS = ROOT / ".venv-halmos" / "bin"
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{ROOT / 'node_modules' / '.bin'}:{os.environ['PATH']}",
    "FOUNDRY_PROFILE": "prove",
}
ANY_SLOT = {"PackingProof"}
"""Here an index that can be any chooses the storage slot, which takes halmos's slower model of storage."""

Claim = tuple[bool, str, float, str]
"""Whether it is proven, by what, in how many seconds, and its name."""


def by_halmos(proof: str) -> Iterator[Claim]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        layout = "generic" if proof in ANY_SLOT else "solidity"
        # A panic of any kind counts against a claim, an arithmetic one too. A claim whose every path reverts fails.
        options = f"--contract {proof} --forge-build-out build/forge --no-status --solver-timeout-assertion 180s"
        options += f" --panic-error-codes * --storage-layout {layout} --json-output {report}"
        output = run([str(TOOLS / "halmos"), *options.split()])
        results = json.loads(report.read_text())["test_results"] if report.exists() else {}
    claims = [claim for suite in results.values() for claim in suite]
    if not claims or any(claim["exitcode"] for claim in claims):
        print(output, file=sys.stderr)
    if not claims:
        yield False, "halmos", 0, proof
    for claim in claims:
        yield claim["exitcode"] == 0, "halmos", claim["time"][0], f"{proof}: {words(claim['name'])}"


def by_forge() -> Iterator[Claim]:
    output = run(["forge", "test", "--json", "--match-path", "tests/symbolic/*Exhaustive.sol"])
    suites = json.loads(output[output.find("{") :] or "{}")
    if not suites:
        yield False, "forge", 0, output
    for suite, found in suites.items():
        for name, result in found["test_results"].items():
            proven = result["status"] == "Success"
            yield proven, "forge", seconds(result["duration"]), f"{suite.rsplit(':', 1)[1]}: {words(name)}"


def by_z3() -> Iterator[Claim]:
    lines = run([str(TOOLS / "python"), str(HERE / "gain_lemmas.py")]).splitlines()
    claims = [re.fullmatch(r"(proven|NOT PROVEN)  z3 +([\d.]+) s  (.*)", line) for line in lines]
    if not claims or not all(claims):
        yield False, "z3", 0, "\n".join(lines)
    for claim in filter(None, claims):
        yield claim[1] == "proven", "z3", float(claim[2]), claim[3]


def run(command: list[str]) -> str:
    """What a tool says, whether it succeeds or not: the claims in it tell."""
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=600)
    return done.stdout or done.stderr


def words(name: str) -> str:
    return name.split("(")[0].removeprefix("check_").removeprefix("test_").replace("_", " ")


def seconds(duration: str) -> float:
    units = {"m": 60, "s": 1, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([mµn]?s|m)", duration))


def main() -> int:
    failed = 0
    proofs = sorted(path.stem for path in HERE.glob("*Proof.sol"))
    for claims in (by_z3(), by_forge(), *map(by_halmos, proofs)):
        for proven, tool, time, name in claims:
            failed += not proven
            print(f"{'proven' if proven else 'NOT PROVEN':10}  {tool:6} {time:6.2f} s  {name}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
