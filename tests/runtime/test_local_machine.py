"""What Ray would refuse on this machine with a traceback is refused before, with a remedy."""

from __future__ import annotations

import os
import re
import tempfile

import pytest
import ray

from xstat_ray.errors import InputError
from xstat_ray.planning.cluster import Cluster
from xstat_ray.runtime import local_machine
from xstat_ray.runtime.local_machine import LEAST_STORE, check_store, short_folder
from xstat_ray.runtime.ray_session import session
from xstat_ray.util.memory import memory_bytes


@pytest.fixture(autouse=True)
def no_ray(monkeypatch):
    """A session in this process finds no Ray, though other tests may have started one."""
    monkeypatch.setattr(ray, "is_initialized", lambda: False)


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Call to make the folder for temporary files of this process one with a longer name."""

    def use(name):
        folder = tmp_path / name
        folder.mkdir(parents=True, exist_ok=True)
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        return folder

    return use


def test_a_long_tmpdir_is_refused_by_name_and_nothing_is_left(temporary):
    folder = temporary("a-rather-long-name-of-a-folder-of-a-batch-system/job_1355700")
    message = r"bytes too long.*key TMPDIR.*TMPDIR=/tmp"
    with pytest.raises(InputError, match=message) as refused, session(Cluster(cpus=1)):
        pytest.fail("Ray was started")
    assert refused.value.file == str(folder)
    assert not list(folder.iterdir())


def test_the_bound_is_that_of_the_longest_socket(temporary, monkeypatch):
    folder = temporary("x")
    room = local_machine._LONGEST - len(local_machine._SOCKET)
    monkeypatch.setattr(local_machine, "_LONGEST", 10**6)
    needed = len(os.fsencode(short_folder()))
    monkeypatch.setattr(local_machine, "_LONGEST", needed + len(local_machine._SOCKET))
    assert len(os.fsencode(short_folder())) == needed
    monkeypatch.setattr(local_machine, "_LONGEST", needed + len(local_machine._SOCKET) - 1)
    with pytest.raises(InputError, match="name that is 1 bytes too long"):
        short_folder()
    assert room > len("/tmp/xr12345678")
    assert len(list(folder.iterdir())) == 2


def test_the_length_of_a_socket_is_rays_with_the_longest_process_id():
    session_name = re.compile(
        r"/r/session_\d{4}(-\d\d){2}_(\d\d-){2}\d\d_\d{6}_\d{7}/sockets/plasma_store"
    )
    assert session_name.fullmatch(local_machine._SOCKET)


def test_no_folder_for_temporary_files_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(InputError, match="key TMPDIR"):
        short_folder()


@pytest.mark.parametrize("size", [1, LEAST_STORE - 1, 1 << 60])
def test_a_store_that_ray_cannot_make_is_refused_and_the_remedy_works(size):
    cluster = Cluster(cpus=1, store_bytes=size)
    with pytest.raises(InputError, match=r"key cluster.store_bytes") as refused, session(cluster):
        pytest.fail("Ray was started")
    check_store(int(re.search(r"store_bytes=(\d+)", refused.value.remedy)[1]))


def test_the_memory_is_at_most_the_machines():
    memory = memory_bytes()
    assert memory is not None and LEAST_STORE < memory < 1 << 50
