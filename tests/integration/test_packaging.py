"""What a distribution gets: units, configuration files, manual pages, and manifests for containers.

Installed are the files of the build that the lodge under test comes from, into a folder of its own. What needs a tool
that is not there is skipped; container engines and clusters are never there, so their files are read and no more.
"""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import psycopg2
import pytest
import yaml
from cluster import PASSWORD
from lodge import BINARY, ROOT, SANITIZED, Lodge
from test_http import desk  # noqa: F401  a fixture

PACKAGING = ROOT / "packaging"
KUBERNETES = sorted((PACKAGING / "kubernetes").glob("*.yaml"))
SERVICES = ["pglodge.service", "pglodge@.service"]
SOCKETS = ["pglodge.socket", "pglodge@.socket"]
MANUALS = sorted((PACKAGING / "man").glob("*.?"))

pytestmark = pytest.mark.skipif(SANITIZED, reason="what is packaged is the release build")


def needs(tool):
    return pytest.mark.skipif(not shutil.which(tool), reason=f"{tool} is not there")


def run(*command, **more):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, check=False, **more)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The prefix under which everything stands."""
    build = BINARY.parents[1]
    if not (build / "cmake_install.cmake").exists() or not shutil.which("cmake"):
        pytest.skip("the lodge under test stands in no build folder that could be installed from")
    prefix = tmp_path_factory.mktemp("installed")
    done = run("cmake", "--install", build, "--prefix", prefix)
    assert done.returncode == 0, done.stdout + done.stderr
    return prefix


def lines_of(unit, key):
    """The values of a key, in order; our units have no continuation lines."""
    return re.findall(rf"^{key}=(.*)$", unit.read_text(), re.MULTILINE)


# The service.

@needs("systemd-analyze")
def test_units_are_sound(installed):
    units = [installed / "lib/systemd/system" / name for name in SERVICES + SOCKETS]
    # systemd looks for the instances' names where they would be.
    verified = run("systemd-analyze", "verify", "--man=no", *units)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


@needs("systemd-analyze")
@pytest.mark.parametrize("name", SERVICES)
def test_services_are_confined(name):
    judged = run("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager", PACKAGING / "systemd" / name)
    assert judged.returncode == 0, judged.stdout[-500:] + judged.stderr
    assert "OK" in judged.stdout


def test_instances_are_as_the_one_service():
    def directives(name):
        text = (PACKAGING / "systemd" / name).read_text()
        return [line for line in text.splitlines() if line and not line.startswith(("#", "Description="))]
    instance = directives("pglodge@.service")
    assert [line.replace("/%i", "") for line in instance] == directives("pglodge.service")
    for line in instance:
        assert "/%i" in line or not re.match(r"(\w+Directory=|Exec.*yaml$)", line), line


def test_the_stop_is_longer_than_the_drain():
    sample = yaml.safe_load((PACKAGING / "etc/pglodge.yaml").read_text())
    for name in SERVICES:
        stop = lines_of(PACKAGING / "systemd" / name, "TimeoutStopSec")
        assert seconds(stop[0]) >= seconds(sample["timeouts"]["drain"]) + 10


def test_the_socket_has_the_addresses_of_the_file():
    sample = yaml.safe_load((PACKAGING / "etc/pglodge.yaml").read_text())
    doors = [one.get("address") or one["unix"] + "/.s.PGSQL.6432" for one in sample["listen"]]
    assert lines_of(PACKAGING / "systemd/pglodge.socket", "ListenStream") == doors


def test_the_units_lines_check_and_start_a_lodge(installed, postgres, tmp_path):
    """The files that are installed, but for ports and folders, by the lines of the unit that is installed."""
    unit = installed / "lib/systemd/system/pglodge.service"
    [check], [serve] = lines_of(unit, "ExecStartPre"), lines_of(unit, "ExecStart")
    assert lines_of(unit, "ExecReload")[0] == check
    lodge = Lodge({})
    moved = {"/run/pglodge": str(lodge.folder), "6432": str(lodge.port), "5432": str(postgres.port)}
    for name in ("pglodge.yaml", "routes.yaml"):
        text = (installed / "etc/pglodge" / name).read_text()
        for old, new in moved.items():
            text = text.replace(old, new)
        (lodge.folder / name).write_text(text)
    lodge.settings["listen"] = [{"address": f"127.0.0.1:{lodge.port}"}]
    command = [word.replace(f"{installed}/etc/pglodge", str(lodge.folder)) for word in shlex.split(check)]
    checked = run(*command)
    assert checked.returncode == 0, checked.stderr
    command = [word.replace(f"{installed}/etc/pglodge", str(lodge.folder)) for word in shlex.split(serve)]
    try:
        with open(lodge.log_file, "wb") as log:
            lodge.process = subprocess.Popen(command, stderr=log, stdout=log, cwd="/")
        lodge.wait_for_log(" serves on ")
        lodge.be_seen_running()
        with psycopg2.connect(host="127.0.0.1", port=lodge.port, user="app", password=PASSWORD, dbname="saas",
                              connect_timeout=15) as connection:
            with connection.cursor() as cursor:
                cursor.execute("SELECT current_user, current_database()")
                assert cursor.fetchone() == ("app", "saas")
        connection.close()
        with pytest.raises(psycopg2.OperationalError):
            psycopg2.connect(host="127.0.0.1", port=lodge.port, user="app", password="wrong", dbname="saas")
        lodge.process.terminate()
        lodge.has_left()
    finally:
        if lodge.alive():
            lodge.process.kill()
        shutil.rmtree(lodge.folder, ignore_errors=True)


def test_a_bad_file_is_refused_before_the_start(installed, tmp_path):
    [check] = lines_of(installed / "lib/systemd/system/pglodge.service", "ExecStartPre")
    shutil.copytree(installed / "etc/pglodge", tmp_path / "etc")
    with open(tmp_path / "etc/routes.yaml", "a") as routes:
        routes.write("tenant: {}\n")
    refused = run(*shlex.split(check.replace(f"{installed}/etc/pglodge", str(tmp_path / "etc"))))
    assert refused.returncode == 1
    assert 'did you mean "tenants"?' in refused.stderr


# The files.

def test_the_installed_files_are_right(installed):
    for file in (installed / "etc/pglodge/pglodge.yaml", installed / "share/pglodge/pglodge.yaml"):
        checked = run(installed / "bin/pglodge", "check", "-c", file)
        assert (checked.returncode, checked.stderr) == (0, ""), file


def test_an_installation_keeps_what_was_edited(installed):
    edited = installed / "etc/pglodge/routes.yaml"
    before = edited.read_text()
    edited.write_text(before + "# mine\n")
    try:
        assert run("cmake", "--install", BINARY.parents[1], "--prefix", installed).returncode == 0
        assert edited.read_text() == before + "# mine\n"
    finally:
        edited.write_text(before)


@needs("readelf")
def test_the_binary_is_hardened(installed):
    headers = run("readelf", "-W", "-h", "-l", "-d", "--dyn-syms", installed / "bin/pglodge").stdout
    assert re.search(r"Type:\s+DYN", headers), "position-independent"
    assert "GNU_RELRO" in headers and re.search(r"FLAGS.*(BIND_)?NOW", headers), "bound at the start, then read-only"
    assert "__stack_chk_fail" in headers and re.search(r"__\w+_chk@", headers), "stack protector and fortified calls"
    assert not re.search(r"GNU_STACK.*RWE", headers)


@pytest.mark.parametrize("page", MANUALS, ids=lambda page: page.name)
@needs("mandoc")
def test_manual_pages_are_well_formed(page):
    linted = run("mandoc", "-Tlint", "-Wstyle", page)
    # The pages that it does not find are ours, not yet installed, or in no index.
    left = [line for line in linted.stdout.splitlines() if "STYLE: referenced manual not found" not in line and ".db" not in line]
    assert left == []


@pytest.mark.parametrize("page", MANUALS, ids=lambda page: page.name)
@needs("man")
def test_manual_pages_show_without_a_warning(page):
    shown = run("man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page, env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"})
    assert (shown.returncode, shown.stderr) == (0, "")


def test_everybody_says_the_same_version():
    def find(pattern, *where):
        return re.search(pattern, PACKAGING.joinpath(*where).read_text(), re.MULTILINE).group(1)
    version = find(r"^project\(pglodge VERSION (\S+) ", "..", "CMakeLists.txt")
    assert find(r"^pglodge \((\S+)\)", "debian/changelog") == version
    assert find(r"^Version:\s+(\S+)", "rpm/pglodge.spec") == version
    assert find(r"image: pglodge:(\S+)", "kubernetes/deployment.yaml") == version


@needs("rpmspec")
def test_the_rpm_spec_can_be_read():
    read = run("rpmspec", "-P", PACKAGING / "rpm/pglodge.spec")
    assert read.returncode == 0, read.stderr


# Containers.

@needs("readelf")
@needs("dpkg-query")
def test_the_image_has_what_the_binary_is_linked_with():
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", BINARY).stdout)
    paths = dict(re.findall(r"^\s*(\S+) => (\S+)", run("ldd", BINARY).stdout, re.MULTILINE))
    owners = set()
    for library in needed:
        found = run("dpkg-query", "-S", f"*/{Path(paths.get(library, library)).name}").stdout
        owners.add(found.split(":")[0] if found else library)
    final = (PACKAGING / "docker/Dockerfile").read_text().rsplit("FROM ", 1)[1]
    assert sorted(one for one in owners if one not in final.split() and not one.startswith("libc6")) == []


def test_the_image_needs_what_the_package_needs():
    control = (PACKAGING / "debian/control").read_text()
    wanted = set(re.findall(r"[a-z0-9][a-z0-9.+-]+", re.sub(r"\(.*?\)", "", control.split("Build-Depends:")[1].split("Standards")[0])))
    build = (PACKAGING / "docker/Dockerfile").read_text().split("AS build")[1].split("FROM ")[0]
    assert sorted(one for one in wanted if one not in build.split() and not one.startswith(("debhelper", "dh-"))) == []


def manifests():
    return [document for file in KUBERNETES for document in yaml.safe_load_all(file.read_text())]


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text).group(1))


def one_of(kind):
    [found] = [document for document in manifests() if document["kind"] == kind]
    return found


def test_the_files_in_images_and_manifests_are_right(binary, tmp_path):
    shutil.copy(PACKAGING / "docker/pglodge.yaml", tmp_path)
    shutil.copy(PACKAGING / "etc/routes.yaml", tmp_path)
    folders = [tmp_path, tmp_path / "kubernetes"]
    folders[1].mkdir()
    for name, text in one_of("ConfigMap")["data"].items():
        (folders[1] / name).write_text(text)
    for folder in folders:
        checked = run(binary, "check", "-c", folder / "pglodge.yaml")
        assert (checked.returncode, checked.stderr) == (0, ""), folder


def test_manifests_fit_together(desk):
    kinds = {document["kind"] for document in manifests()}
    assert kinds == {"ConfigMap", "Deployment", "Service", "NetworkPolicy", "PodDisruptionBudget", "HorizontalPodAutoscaler"}
    pod = one_of("Deployment")["spec"]["template"]
    [container] = pod["spec"]["containers"]
    labels = pod["metadata"]["labels"]
    for selector in (one_of("Deployment")["spec"]["selector"]["matchLabels"], one_of("Service")["spec"]["selector"],
                     one_of("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
                     one_of("NetworkPolicy")["spec"]["podSelector"]["matchLabels"]):
        assert selector.items() <= labels.items()
    names = {port["name"] for port in container["ports"]}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["port"] in names
        assert desk.ask(asked["path"])[0] == 200
    settings = yaml.safe_load(one_of("ConfigMap")["data"]["pglodge.yaml"])
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["spec"]["terminationGracePeriodSeconds"] >= pause + seconds(settings["timeouts"]["drain"]) + 10
    scaling = one_of("HorizontalPodAutoscaler")["spec"]
    assert scaling["scaleTargetRef"]["name"] == one_of("Deployment")["metadata"]["name"]
    assert any(name.startswith(scaling["metrics"][0]["pods"]["metric"]["name"]) for name in desk.metrics())
