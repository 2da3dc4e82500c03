"""Builds the packaged artifacts, `abi/*.json`: python -m market_node.compile [--check]

py-solc-x runs the compiler that is there: its own, where it was installed (`solcx.install_solc`), else npm's behind
`deploy/solc-shim`. Both get the input that Hardhat gives when it builds these contracts alone, so that the bytecode is
Hardhat's, metadata included. (When Hardhat compiles tests with them, its metadata covers the tests' remappings too.)
"""

import argparse
import hashlib
import json
import posixpath
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import solcx

from .errors import BadInput
from .files import replacing

VERSION = "0.8.37"
"""Of the compiler, as in package.json."""

SETTINGS: dict[str, Any] = {"viaIR": True, "evmVersion": "prague", "optimizer": {"enabled": True, "runs": 200}}
"""As in hardhat.config.js."""

CONTRACTS = {
    "Market": "contracts/Market.sol",
    "Escrow": "contracts/Escrow.sol",
    "Reputation": "contracts/Reputation.sol",
    "TestToken": "contracts/test/TestToken.sol",
}
"""What is packaged, and where it stands."""

ROOT = Path(__file__).parent.parent
ABI = Path(__file__).parent / "abi"

_IMPORT = re.compile(r"""^\s*import\b[^;]*?["']([^"']+)["']\s*;""", re.MULTILINE)


def artifacts(root: Path = ROOT, names: Iterable[str] = CONTRACTS) -> dict[str, str]:
    """The JSON of each artifact, by contract name.

    Raises:
        BadInput: there is no compiler, a source is missing, or one does not compile.
    """
    names = list(names)
    compiled = _compile(standard_input(root, names), root)["contracts"]
    common = {
        "compiler": VERSION,
        "settingsHash": _digest({**SETTINGS, "version": VERSION}),
        "sourcesHash": sources_hash(root),
    }
    texts = {}
    for name in names:
        contract = compiled[f"project/{CONTRACTS[name]}"][name]
        artifact = {
            **common,
            "contractName": name,
            "abi": contract["abi"],
            "bytecode": "0x" + contract["evm"]["bytecode"]["object"],
        }
        texts[name] = json.dumps(artifact, indent=1, sort_keys=True) + "\n"
    return texts


def sources_hash(root: Path = ROOT) -> str:
    """sha-256 over this project's sources, so that a stale artifact is found without a compiler."""
    return _digest({name: _read(root, name) for name in _closure(root) if name.startswith("project/")})


def standard_input(root: Path = ROOT, names: Iterable[str] = CONTRACTS) -> dict[str, Any]:
    """The compiler's input, with Hardhat's names for sources: project/… and npm/package@version/…"""
    sources = _closure(root, names, packages=True)
    # Of all contracts, whichever are compiled: the metadata, and so the bytecode's last bytes, cover the remappings.
    everything = _closure(root, packages=True)
    packages = {name.split("/", 1)[1].rsplit("@", 1)[0] for name in everything if name.startswith("npm/")}
    return {
        "language": "Solidity",
        "sources": {name: {"content": _read(root, name)} for name in sources},
        "settings": {
            **SETTINGS,
            "remappings": sorted(f"project/:{package}/={_npm(root, package)}/" for package in packages),
            "outputSelection": {"*": {"*": ["abi", "evm.bytecode.object"]}},
        },
    }


def _closure(root: Path, contracts: Iterable[str] = CONTRACTS, *, packages: bool = False) -> list[str]:
    """The names of the contracts' sources and of all that they import; packages' ones only where asked for."""
    names: set[str] = set()
    open_ = [f"project/{CONTRACTS[contract]}" for contract in contracts]
    while open_:
        name = open_.pop()
        if name in names:
            continue
        names.add(name)
        for target in _IMPORT.findall(_read(root, name)):
            if target.startswith("."):
                open_.append(posixpath.normpath(posixpath.join(posixpath.dirname(name), target)))
            elif packages:
                scope, package, path = target.split("/", 2)
                open_.append(f"{_npm(root, f'{scope}/{package}')}/{path}")
    return sorted(names)


def _npm(root: Path, package: str) -> str:
    """Hardhat's name for the root of an installed package, which must have a scope."""
    description = root / "node_modules" / package / "package.json"
    if not description.is_file():
        raise BadInput(f"{package} is not installed: run `npm install` in {root}")
    return f"npm/{package}@{json.loads(description.read_text())['version']}"


def _read(root: Path, name: str) -> str:
    place, path = name.split("/", 1)
    if place == "npm":
        scope, package, path = path.split("/", 2)
        path = f"node_modules/{scope}/{package.rsplit('@', 1)[0]}/{path}"
    try:
        return (root / path).read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot read {root / path}: {error.strerror}") from error


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _compile(standard: dict[str, Any], root: Path) -> Any:
    compiler: dict[str, Any] = {"solc_version": VERSION}
    if VERSION not in map(str, solcx.get_installed_solc_versions()):
        compiler = {"solc_binary": str(root / "deploy" / "solc-shim")}
    try:
        return solcx.compile_standard(standard, **compiler)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BadInput(f"no Solidity compiler {VERSION}: run `npm install` in {root} ({error})") from error
    except solcx.exceptions.SolcError as error:
        raise BadInput(str(error)) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the artifacts, or with --check compares them. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m market_node.compile", description="Builds market_node/abi/*.json.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where an artifact is not up to date")
    check = parser.parse_args(arguments).check
    try:
        built = artifacts()
    except BadInput as error:
        print(error, file=sys.stderr)
        return error.exit_code
    stale = [name for name, text in built.items() if _packaged(name) != text]
    for name in stale:
        if check:
            print(f"{ABI / name}.json is not what the sources compile to", file=sys.stderr)
            continue
        with replacing(ABI / f"{name}.json") as file:
            file.write(built[name].encode())
        print(f"wrote {ABI / name}.json")
    return 1 if check and stale else 0


def _packaged(name: str) -> str | None:
    path = ABI / f"{name}.json"
    return path.read_text(encoding="utf-8") if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
