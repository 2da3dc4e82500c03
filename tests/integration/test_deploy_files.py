"""What is under deploy/ fits together: named files exist, configurations are read, no secret is in."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from market_node.amounts import Money
from market_node.policy import TABLES, read_policy

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose" / "compose.yaml"
DOCKERFILE = (DEPLOY / "docker" / "Dockerfile").read_text()
UNIT = DEPLOY / "systemd" / "market-node.service"
NODES = ("aggregator", "alice", "bob", "carol", "auditor")


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load(COMPOSE.read_text())


def test_the_stack_has_a_chain_ipfs_a_database_and_five_nodes(compose):
    assert set(compose["services"]) == {"chain", "ipfs", "postgres", *NODES}


def test_every_file_that_the_stack_names_exists(compose):
    for service in compose["services"].values():
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            assert (COMPOSE.parent / source).exists() if source.startswith(".") else source in compose["volumes"], mount
    build = compose["services"]["alice"]["build"]
    assert (COMPOSE.parent / build["context"] / build["dockerfile"]).exists()


def test_nothing_of_the_stack_is_reached_from_another_machine(compose):
    ports = [port for service in compose["services"].values() for port in service.get("ports", ())]
    assert len(ports) == len(set(ports)) == 5
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_node_has_a_database_and_a_home_of_its_own(compose):
    made = re.findall(r"CREATE DATABASE (\w+);", (COMPOSE.parent / "databases.sql").read_text())
    assert sorted(made) == sorted(NODES)
    homes = [service["volumes"][0] for name, service in compose["services"].items() if name in NODES]
    assert sorted(homes) == sorted(f"{name}:/var/lib/market-node" for name in NODES)


def test_nodes_have_no_rights_that_they_do_not_need(compose):
    for name in NODES:
        service = compose["services"][name]
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("path", sorted(DEPLOY.glob("*/*.toml")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_example_configuration_is_read(path):
    tables = tomllib.loads(path.read_text().replace("TASK", "11" * 32))
    assert set(tables) <= set(TABLES)
    read_policy(tables, Money("TEST", 18))


def test_the_start_script_is_a_script():
    assert subprocess.run(["sh", "-n", DEPLOY / "compose" / "start.sh"], check=False).returncode == 0


def test_the_image_runs_as_nobody_special_and_holds_no_secret():
    assert re.findall(r"^USER (.+)$", DOCKERFILE, re.M) == ["10001:10001"]
    copied = {each for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.M) for each in line.split()}
    assert copied == {"constraints.txt", "pyproject.toml", "README.md", "LICENSE", "market_node"}
    assert all((ROOT / each).exists() for each in copied)
    assert not re.search(r"^(ARG|ENV) .*(PASSWORD|SECRET|TOKEN|KEY)", DOCKERFILE, re.M | re.I)
    ignored = (DEPLOY / "docker" / "Dockerfile.dockerignore").read_text().splitlines()
    assert ignored[1] == "*" and {each[1:] for each in ignored if each.startswith("!")} == copied


def test_docker_takes_the_stack():
    if not shutil.which("docker") or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        pytest.skip("docker compose is not installed")
    checked = subprocess.run(["docker", "compose", "-f", COMPOSE, "config", "-q"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_systemd_takes_the_unit(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    # The program that it starts is installed elsewhere.
    unit = tmp_path / UNIT.name
    unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(), flags=re.M))
    checked = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    said = [line for line in checked.stderr.splitlines() if UNIT.name in line]
    assert said == [], checked.stderr
    assert checked.returncode == 0, checked.stderr


def test_the_unit_is_confined():
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=25", UNIT]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout[-500:] + checked.stderr
