"""How bytes go in and out: by io_uring, by epoll, and where the kernel gives no io_uring. That both carry everything, the
other tests show: all of them run by the one that PGLODGE_IO_METHOD names."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from lodge import BINARY, Lodge, has_io_uring, standard_routes

FORBIDDEN = [sys.executable, str(Path(__file__).with_name("without_io_uring.py"))]
WHY = "io_uring_setup: Operation not permitted"


def rings(lodge):
    return sum("io_uring" in link for link in lodge.links())


def carries(lodge):
    """Short messages and long ones, both ways."""
    with lodge.login("trusted.globex") as wire:
        assert wire.value("SELECT 1") == "1"
        much = wire.value("SELECT string_agg(md5(i::text), '') FROM generate_series(1, 40000) i")
        assert len(much) == 32 * 40000
        assert wire.value(f"SELECT length('{much}')") == str(len(much))


@pytest.mark.parametrize("auth", ["passthrough", "trust"])  # a connection of one's own, and a pool
@pytest.mark.parametrize("method", ["epoll", "auto", "io_uring"])
def test_each(start_lodge, postgres, method, auth):
    if method == "io_uring" and not has_io_uring():
        pytest.skip("no io_uring here")
    lodge = start_lodge(standard_routes(postgres.host), {"io_method": method, "auth": {"method": auth}})
    assert rings(lodge) == (2 if method != "epoll" and has_io_uring() else 0)
    carries(lodge)


def test_auto_does_without_where_it_is_forbidden(start_lodge, postgres):
    lodge = start_lodge(standard_routes(postgres.host), {"io_method": "auto"}, launcher=FORBIDDEN)
    assert f"epoll it is: io_uring is not to be had here ({WHY})" in lodge.log()
    assert rings(lodge) == 0
    carries(lodge)


def test_who_insists_is_told_why_not(postgres):
    lodge = Lodge(standard_routes(postgres.host), {"io_method": "io_uring"})
    told = subprocess.run([*FORBIDDEN, BINARY, "serve", "-c", lodge.config], capture_output=True, text=True, timeout=60)
    assert told.returncode == 1
    assert f"io_method is io_uring, which is not to be had here ({WHY}); write auto or epoll" in told.stderr


def test_a_change_waits_for_a_restart(start_lodge, postgres):
    lodge = start_lodge(standard_routes(postgres.host), {"io_method": "epoll"})
    lodge.config.write_text(yaml.safe_dump({**lodge.settings, "io_method": "auto"}))
    lodge.wait_for_log("a change of workers or io_method takes an upgrade (SIGUSR2) or a restart; they stay as they were")
    assert rings(lodge) == 0
    carries(lodge)
