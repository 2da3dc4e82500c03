"""The packaged artifacts are what the sources compile to, with this package's compiler and with Hardhat."""

import json
import re
import shutil
from pathlib import Path

import pytest

from market_node import compile as compiler
from market_node.contracts import NAMES, artifact
from market_node.errors import BadInput

ROOT = compiler.ROOT
HARDHAT = ROOT / "artifacts"

pytestmark = pytest.mark.skipif(not (ROOT / "contracts").is_dir(), reason="the sources are not here")
needs_compiler = pytest.mark.skipif(not (ROOT / "node_modules" / "solc").is_dir(), reason="npm install was not run")


@pytest.mark.parametrize("name", NAMES)
def test_no_artifact_is_older_than_its_sources(name):
    assert artifact(name)["sourcesHash"] == compiler.sources_hash(), "run python -m market_node.compile"
    assert set(artifact(name)) == {"contractName", "abi", "bytecode", "compiler", "settingsHash", "sourcesHash"}


def test_an_artifact_notices_a_changed_source(tmp_path):
    shutil.copytree(ROOT / "contracts", tmp_path / "contracts")
    assert compiler.sources_hash(tmp_path) == compiler.sources_hash()
    with open(tmp_path / "contracts/libraries/Rows.sol", "a") as file:
        file.write("\n")
    assert compiler.sources_hash(tmp_path) != compiler.sources_hash()


@needs_compiler
def test_compiling_again_gives_the_same_bytes():
    """Of the contract that compiles quickest, and alone: what else is compiled does not matter."""
    packaged = (compiler.ABI / "Reputation.json").read_text()
    assert compiler.artifacts(names=["Reputation"]) == {"Reputation": packaged}


@needs_compiler
@pytest.mark.parametrize("name", NAMES)
def test_hardhat_builds_the_same_bytecode(name):
    built = built_by_hardhat(compiler.CONTRACTS[name])
    assert without_metadata(built["bytecode"]) == without_metadata(artifact(name)["bytecode"])
    assert built["abi"] == artifact(name)["abi"]


def without_metadata(bytecode: str) -> str:
    """Bytecode without the digests of metadata in it, which cover whatever else Hardhat compiled at the same time."""
    return re.sub("64697066735822[0-9a-f]{68}", "", bytecode)


def built_by_hardhat(path: str) -> dict:
    """Hardhat's artifact, or a skip where it was built from other sources than are here."""
    output = HARDHAT / path / f"{Path(path).stem}.json"
    if not output.is_file():
        pytest.skip("npx hardhat build was not run")
    built = json.loads(output.read_text())
    information = json.loads((HARDHAT / "build-info" / f"{built['buildInfoId']}.json").read_text())
    sources = information["input"]["sources"]
    if any(
        sources.get(name, {}).get("content") != source["content"]
        for name, source in compiler.standard_input(names=[Path(path).stem])["sources"].items()
    ):
        pytest.skip("npx hardhat build was run on other sources")
    return built


@needs_compiler
def test_settings_and_compiler_are_hardhats():
    config = (ROOT / "hardhat.config.js").read_text()
    packages = json.loads((ROOT / "package.json").read_text())["devDependencies"]
    assert packages["solc"] == compiler.VERSION
    assert 'viaIR: true, evmVersion: "prague", optimizer: { enabled: true, runs: 200 }' in config
    assert compiler.SETTINGS == {"viaIR": True, "evmVersion": "prague", "optimizer": {"enabled": True, "runs": 200}}


@needs_compiler
def test_a_source_that_does_not_compile_says_why(tmp_path):
    for folder in ("node_modules", "deploy"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    shutil.copytree(ROOT / "contracts", tmp_path / "contracts")
    broken = tmp_path / compiler.CONTRACTS["Reputation"]
    broken.write_text("pragma solidity ^0.8.0; contract Reputation { uint x = true; }")
    with pytest.raises(BadInput, match="not implicitly convertible"):
        compiler.artifacts(tmp_path, ["Reputation"])


def test_a_missing_source_is_said_so(tmp_path):
    with pytest.raises(BadInput, match=r"cannot read .*\.sol"):
        compiler.sources_hash(tmp_path)
