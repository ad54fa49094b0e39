import json
import tarfile
from pathlib import Path

import pytest

from e2e.cluster.archives import Layer, images_in, write_image
from e2e.cluster.errors import ClusterError
from e2e.cluster.kind import config, kube_image, names, node_image, node_root
from e2e.cluster.kind.node_image import PUBLISHED, NodeImage, ensure_node_image
from e2e.setup.toolchain import tools
from tests.support.scripted_runner import ScriptedRunner

ABSENT = ClusterError("no such image")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The images that were made."""
    built: list[str] = []
    monkeypatch.delenv("KIND_NODE_IMAGE", raising=False)
    monkeypatch.setattr(node_image, "_make", lambda name, _: built.append(name))
    return built


def test_the_published_image_is_pulled_where_that_is_possible(runner: ScriptedRunner, made: list[str]) -> None:
    runner.answers = {("inspect",): ABSENT}
    assert ensure_node_image(runner) == NodeImage(PUBLISHED, made_here=False)
    assert len(runner.having("docker", "pull", PUBLISHED)) == 1
    assert made == []


def test_an_image_is_made_where_none_can_be_pulled(runner: ScriptedRunner, made: list[str]) -> None:
    runner.answers = {("inspect",): ABSENT, ("pull",): ClusterError("no route to host")}
    image = ensure_node_image(runner)
    assert image == NodeImage(node_image.made_name(), made_here=True)
    assert made == [image.name]


def test_an_image_that_was_made_before_is_used_without_another_try_to_pull(
    runner: ScriptedRunner, made: list[str]
) -> None:
    runner.answers = {("inspect", PUBLISHED): ABSENT}
    assert ensure_node_image(runner).made_here
    assert (runner.having("pull"), made) == ([], [])


def test_the_choice_is_the_users(runner: ScriptedRunner, made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    runner.answers = {("inspect",): ABSENT, ("pull",): ClusterError("no route to host")}
    monkeypatch.setenv("KIND_NODE_IMAGE", "published")
    with pytest.raises(ClusterError, match="no route to host"):
        ensure_node_image(runner)
    monkeypatch.setenv("KIND_NODE_IMAGE", "made")
    runner.commands.clear()
    assert ensure_node_image(runner).made_here
    assert runner.having("pull") == []
    monkeypatch.setenv("KIND_NODE_IMAGE", "mine")
    with pytest.raises(ClusterError, match="'mine' is none of auto, published, made"):
        ensure_node_image(runner)


def test_the_images_name_changes_with_what_goes_into_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = node_image.made_name()
    monkeypatch.setattr(node_root, "PACKAGES", (*node_root.PACKAGES, "jq"))
    assert node_image.made_name() != before


def test_the_components_have_the_names_that_kubeadm_gives_them() -> None:
    assert f"registry.k8s.io/kube-proxy:v{tools.KUBERNETES}" in kube_image.references()
    etcd = next(name for name in kube_image.references() if "/etcd:" in name)
    source = tools.named("kube", "local").source
    assert source is not None
    version = etcd.rpartition(":")[2].removesuffix("-0")
    assert f"go.etcd.io/etcd/server/v3 v{version}\n" in (source / "go.mod").read_text()


def test_one_image_has_all_its_names_in_an_archive(tmp_path: Path) -> None:
    archive = tmp_path / "two.tar"
    layer = Layer.of(b"\0" * 10240, compress=True)
    write_image(archive, layer, references=["localhost/a:1", "localhost/b:1"], config={})
    one, other = images_in(archive)
    assert (one.reference, other.reference, one.digest) == ("localhost/a:1", "localhost/b:1", other.digest)
    with tarfile.open(archive) as tar:
        file = tar.extractfile(f"blobs/{one.digest.replace(':', '/')}")
        assert file is not None
        manifest = json.load(file)
    assert manifest["layers"][0]["mediaType"].endswith("tar+gzip")
    assert layer.diff_id != manifest["layers"][0]["digest"]


@pytest.mark.parametrize("made_here", [True, False])
def test_only_a_made_image_goes_without_the_default_network_and_dns(made_here: bool) -> None:
    document = json.loads(config.config(NodeImage("node:1", made_here), Path("/v")))
    assert document["networking"].get("disableDefaultCNI", False) is made_here
    assert any("addon/coredns" in patch for patch in document["kubeadmConfigPatches"]) is made_here


def test_the_networks_are_none_of_the_local_clusters() -> None:
    document = json.loads(config.config(NodeImage("node:1", True), Path("/v")))
    assert document["networking"]["podSubnet"] == names.POD_NETWORK != "10.244.0.0/16"
    assert names.POD_NETWORK.removesuffix("0.0/16") in node_root.filled_in("pod-network.sh")
    assert "@" not in node_root.filled_in("pod-network.sh") + node_root.filled_in("containerd.toml")
