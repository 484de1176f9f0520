"""Fixtures: one PostgreSQL for the session, lodges as each test module needs them.

The lodge under test comes from the environment variable PGLODGE_BINARY, or is the release build's.
"""

import contextlib
import resource
import shutil
import sys
from pathlib import Path

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).parent))

from cluster import Cluster  # noqa: E402
from lodge import BINARY, Lodge, standard_routes  # noqa: E402


@pytest.fixture(scope="session")
def postgres():
    cluster = Cluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def binary():
    assert BINARY.exists(), f"{BINARY} is not there: build it, or set PGLODGE_BINARY"
    return BINARY


@pytest.fixture(scope="module")
def start_lodge(binary):
    """start_lodge(routes, daemon=...) -> a running Lodge, ended and checked when the module is done or `with` ends."""
    with contextlib.ExitStack() as running:
        def start(routes, daemon=None, **more):
            lodge = Lodge(routes, daemon, **more)
            running.callback(shutil.rmtree, lodge.folder, ignore_errors=True)
            running.callback(lodge.finish)
            return lodge.start()
        yield start


@pytest.fixture(scope="module")
def lodge(start_lodge, postgres):
    """What most modules need: the standard table, the server's own authentication."""
    return start_lodge(standard_routes(postgres.host))


@pytest.fixture
def hidden(postgres):
    """A function that sets what no text shows."""
    with contextlib.closing(postgres.connect("saas")) as admin:
        admin.cursor().execute("CREATE OR REPLACE FUNCTION public.hidden(name text, value text) RETURNS text LANGUAGE plpgsql"
                               " AS 'BEGIN RETURN set_config(name, value, false); END'")


@pytest.fixture
def many_descriptors():
    """As many as this process may have at all."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
