"""Downloads from a registry on this machine: whole, pinned, and quick to give up."""

import base64
import hashlib
import io
import socket
import subprocess
import tarfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from helpers import downloads
from helpers.errors import DataError
from helpers.imagenet import PACKAGE

CONTENTS = {"package/net/a.bin": b"first", "package/net/b.bin": bytes(1000), "package/c": b"no"}


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder that a server on this machine delivers, as an npm registry, without npm."""
    folder = tmp_path / "shelf"
    (folder / "tiny" / "-").mkdir(parents=True)
    handler = partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.handle_error = lambda *_: None  # a reader that turns away is part of the tests
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        monkeypatch.setenv("no_proxy", "*")
        monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.delenv("npm_config_registry", raising=False)
        monkeypatch.setattr(downloads.shutil, "which", lambda _: None)
        yield folder
        server.shutdown()


@pytest.fixture
def package(shelf):
    return pack(shelf / "tiny" / "-" / "tiny-1.0.tgz", CONTENTS)


def pack(file, contents):
    with tarfile.open(file, "w:gz") as archive:
        for name, data in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    data = file.read_bytes()
    digest = base64.b64encode(hashlib.sha512(data).digest()).decode()
    return downloads.Package("tiny", "1.0", digest, len(data))


def fake_npm(monkeypatch, tarball=None, view="", fails=""):
    """An npm that says `view`, delivers a tarball, or fails with an error code."""
    calls = []

    def run(command, *, cwd, **options):
        calls.append(command[1])
        if fails:
            raise subprocess.CalledProcessError(1, command, "", f"npm error code {fails}\nmore")
        if command[1] == "pack" and tarball is not None:
            (cwd / "tiny-1.0.tgz").write_bytes(tarball.read_bytes())
        return subprocess.CompletedProcess(command, 0, view, "")

    monkeypatch.setattr(downloads.shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(downloads.subprocess, "run", run)
    return calls


def folder_for(tmp_path):
    folder = tmp_path / "arrived"
    folder.mkdir()
    return folder


def test_a_package_without_npm(package, tmp_path):
    file = downloads.npm(package, folder_for(tmp_path))
    assert downloads.members(file, "package/net/") == {"a.bin": b"first", "b.bin": bytes(1000)}


def test_the_registry_of_the_users_settings(package, tmp_path, monkeypatch):
    settings = tmp_path / "npmrc"
    registry = downloads.os.environ["NPM_CONFIG_REGISTRY"]
    settings.write_text(f"audit=false\nregistry = {registry}\n")
    monkeypatch.delenv("NPM_CONFIG_REGISTRY")
    monkeypatch.setenv("NPM_CONFIG_USERCONFIG", str(settings))
    assert downloads.npm(package, folder_for(tmp_path)).stat().st_size == package.size


@pytest.mark.parametrize("registry", [None, "file:///etc"])
def test_no_registry_is_known(package, tmp_path, monkeypatch, registry):
    monkeypatch.delenv("NPM_CONFIG_REGISTRY")
    monkeypatch.setenv("NPM_CONFIG_USERCONFIG", str(tmp_path / "none"))
    if registry:
        monkeypatch.setenv("npm_config_registry", registry)
    with pytest.raises(DataError, match="name no registry"):
        downloads.npm(package, folder_for(tmp_path))


def test_a_package_with_npm(package, shelf, tmp_path, monkeypatch):
    calls = fake_npm(monkeypatch, shelf / "tiny/-/tiny-1.0.tgz", f"sha512-{package.sha512}")
    file = downloads.npm(package, folder_for(tmp_path))
    assert calls == ["view", "pack"]
    assert downloads.members(file, "package/")["c"] == b"no"


def test_another_package_is_refused_before_it_is_downloaded(package, tmp_path, monkeypatch):
    calls = fake_npm(monkeypatch, view="sha512-other")
    with pytest.raises(DataError, match=r"has another tiny 1\.0"):
        downloads.npm(package, folder_for(tmp_path))
    assert calls == ["view"]


@pytest.mark.parametrize("with_npm", [True, False])
def test_bytes_other_than_the_pinned_ones_are_refused(
    package, shelf, tmp_path, monkeypatch, with_npm
):
    served = shelf / "tiny" / "-" / "tiny-1.0.tgz"
    pack(served, {**CONTENTS, "package/d": bytes(range(256)) * 999})
    if with_npm:
        fake_npm(monkeypatch, served, f"sha512-{package.sha512}")
    folder = folder_for(tmp_path)
    with pytest.raises(DataError, match="than the pinned one"):
        downloads.npm(package, folder)


def test_a_download_without_end_is_cut_off(package, shelf, tmp_path):
    (shelf / "tiny" / "-" / "tiny-1.0.tgz").write_bytes(bytes(5 * 2**20))
    folder = folder_for(tmp_path)
    with pytest.raises(DataError, match="than the pinned one"):
        downloads.npm(package, folder)
    assert (folder / "package.tgz").stat().st_size <= 2**20


@pytest.mark.parametrize("what", ["fails", "silent", "empty"])
def test_an_npm_that_does_not_deliver(package, tmp_path, monkeypatch, what):
    fake_npm(monkeypatch, view=package.sha512, fails="ENOTFOUND" if what == "fails" else "")
    if what == "silent":

        def run(command, *, timeout, **options):
            raise subprocess.TimeoutExpired(command, timeout)

        monkeypatch.setattr(downloads.subprocess, "run", run)
    said = {"fails": "npm failed: ENOTFOUND$", "silent": "within 15 s", "empty": "no file"}[what]
    with pytest.raises(DataError, match=said):
        downloads.npm(package, folder_for(tmp_path))


def test_an_address_that_answers_refuses_or_stays_silent(package, shelf, monkeypatch):
    base = downloads.os.environ["NPM_CONFIG_REGISTRY"]
    downloads.ask(f"{base}tiny/-/tiny-1.0.tgz")
    with pytest.raises(DataError, match=r"of nothing.tgz does not begin: .*[Nn]ot found"):
        downloads.ask(f"{base}nothing.tgz")
    with pytest.raises(DataError, match="does not begin"):
        downloads.ask("no address")
    monkeypatch.setattr(downloads, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begin = time.perf_counter()
        with pytest.raises(DataError, match="does not begin"):
            downloads.ask(f"http://127.0.0.1:{silent.getsockname()[1]}/file")
        assert time.perf_counter() - begin < 3


def test_a_name_that_is_looked_up_for_ever(monkeypatch):
    never = threading.Event()

    def urlopen(*_, **__):
        never.wait(30)
        raise OSError("at last")

    monkeypatch.setattr(downloads.urllib.request, "urlopen", urlopen)
    monkeypatch.setattr(downloads, "SECONDS", 0.1)
    with pytest.raises(DataError, match="no answer"):
        downloads.ask("http://slow/file")
    never.set()


def test_members_that_are_too_large_or_no_tarball(package, shelf, tmp_path, monkeypatch):
    file = shelf / "tiny" / "-" / "tiny-1.0.tgz"
    whole = file.read_bytes()
    monkeypatch.setattr(downloads, "MAX_MEMBER", 999)
    with pytest.raises(DataError, match=r"b\.bin announces 1000 bytes"):
        downloads.members(file, "package/")
    for broken in (b"no tarball", whole[: len(whole) // 2]):
        file.write_bytes(broken)
        with pytest.raises(DataError, match="cannot be read"):
            downloads.members(file, "package/net/a")


def registry_answers():
    try:
        quick = ["view", PACKAGE.name, "name", "--fetch-retries=0"]
        return bool(downloads._run_npm(quick, 10, downloads.Path.cwd()))
    except (DataError, TypeError):  # no registry, no npm
        return False


@pytest.mark.skipif("not registry_answers()", reason="no npm registry can be reached")
def test_the_pinned_package_is_the_published_one(tmp_path):
    name = f"{PACKAGE.name}@{PACKAGE.version}"
    said = downloads._run_npm(["view", name, "dist.integrity"], 15, tmp_path)
    assert said.strip() == f"sha512-{PACKAGE.sha512}"
