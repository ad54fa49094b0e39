import ipaddress
import json
from pathlib import Path

import pytest

from e2e.cluster import node_config, settings
from e2e.cluster.components import components
from e2e.cluster.errors import ClusterError
from e2e.cluster.settings import Settings
from tests.support.scripted_runner import ScriptedRunner


def test_the_nodes_address_is_none_of_the_machines_network(runner: ScriptedRunner) -> None:
    routes = [
        {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0"},
        {"dst": "172.16.0.0/12", "dev": "eth1"},
    ]
    runner.answers[("route",)] = json.dumps(routes)
    occupied = settings.occupied_networks(runner)
    assert occupied == [ipaddress.IPv4Network("192.0.2.1/32"), ipaddress.IPv4Network("172.16.0.0/12")]
    assert settings.free_address(occupied) == "198.51.100.1"
    assert settings.free_address([]) == "192.0.2.1"


def test_no_free_address_is_an_error() -> None:
    with pytest.raises(ClusterError, match="no free address for the node"):
        settings.free_address([ipaddress.IPv4Network("0.0.0.0/1"), ipaddress.IPv4Network("128.0.0.0/1")])


@pytest.mark.parametrize(
    ("network", "says"), [("10.244.1.0/24", "pods"), ("10.0.0.0/8", "pods"), ("10.96.7.0/24", "services")]
)
def test_a_network_in_use_is_named(network: str, says: str) -> None:
    assert f"the {says}' network" in settings.conflict([ipaddress.IPv4Network(network)])
    assert settings.conflict([ipaddress.IPv4Network("192.168.0.0/16")]) == ""


def test_nothing_listens_beyond_loopback_and_the_nodes_address() -> None:
    address = "198.51.100.1"
    made = components(Settings(address))
    assert {host for component in made for host, _ in component.listens} == {"127.0.0.1", address}
    ports = [port for component in made for _, port in component.listens]
    assert len(ports) == len(set(ports)) == 11


def test_every_component_comes_after_what_it_needs() -> None:
    seen: set[str] = set()
    for component in components(Settings("198.51.100.1")):
        assert seen.issuperset(component.after)
        seen.add(component.name)


def test_odd_paths_stay_one_value_of_the_configuration(tmp_path: Path) -> None:
    import tomllib

    odd = tmp_path / 'a "b" \\ c'
    document = tomllib.loads(node_config.containerd(Settings("198.51.100.1", state=odd), Path("/usr/lib/cni")))
    assert document["root"] == str(odd / "containerd")
