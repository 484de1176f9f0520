"""The JSON Schemas beside the samples: they are schemas, accept the samples and refuse what the lodge refuses."""

import copy
import json
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

CONF = Path(__file__).resolve().parents[2] / "conf"


class Yaml12Loader(yaml.SafeLoader):
    """As editors and the lodge read it: `on` and `off` are words, not booleans."""


Yaml12Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(text):
    return yaml.load(text, Yaml12Loader)


def schema(name):
    return json.loads((CONF / f"{name}.schema.json").read_text())


def validator(name):
    return jsonschema.Draft202012Validator(schema(name))


def sample(name):
    return read((CONF / f"{name}.yaml").read_text())


@pytest.mark.parametrize("name", ["pglodge", "routes"])
def test_the_schema_is_one(name):
    jsonschema.Draft202012Validator.check_schema(schema(name))
    assert schema(name)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("name", ["pglodge", "routes"])
def test_the_sample_is_valid(name):
    assert [error.message for error in validator(name).iter_errors(sample(name))] == []


def test_the_samples_pass_check(binary):
    done = subprocess.run([binary, "check", "-c", CONF / "pglodge.yaml"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "not yet in force" not in done.stdout


GOOD = [
    ("pglodge", "listen: [{ unix: /run/pglodge, port: 6433 }]\nroutes: routes.d\nworkers: 4"),
    ("pglodge", "listen: [{ address: '*', tls: { mode: off } }]\nroutes: r\ntimeouts: { idle: 0, drain: 500ms, startup: 1h }"),
    ("pglodge", "listen: [{ address: a }]\nroutes: r\nauth: { rules: [{ tls: on, role: app, method: md5 }] }"),
    ("pglodge", "listen: [{ address: a }]\nroutes: r\nusage: { ledger: u, interval: 5m, keep_days: 0 }"),
    ("routes", "tenants: { acme: null, 'trial-*': { guard: off, users: null, schema: null, role: x } }"),
    ("routes", "defaults: { settings: { app.a: 5, b: true, c: text }, limits: { bytes_per_second: 64KiB, wait: 0 } }"),
    ("routes", "no_tenant: { action: route, route: { database: shared, pool: session } }"),
]

BAD = [
    ("pglodge", "routes: routes.yaml"),
    ("pglodge", "listen: []\nroutes: r"),
    ("pglodge", "listen: [{ address: a, unix: b }]\nroutes: r"),
    ("pglodge", "listen: [{ address: a }]\nroutes: r\nwrokers: 2"),
    ("pglodge", "listen: [{ address: a }]\nroutes: r\nworkers: 0"),
    ("pglodge", "listen: [{ address: a }]\nroutes: r\ntimeouts: { drain: 5 }"),
    ("pglodge", "listen: [{ address: a }]\nroutes: r\ntimeouts: { drain: 5 s }"),
    ("pglodge", "listen: [{ address: a }]\nroutes: r\nauth: { method: scram }"),
    ("pglodge", "listen: [{ address: a, tls: { mode: on } }]\nroutes: r"),
    ("pglodge", "listen: [{ address: a }]\nroutes: r\nusage: { interval: 5m }"),
    ("pglodge", "listen: [{ address: a }]\nroutes: r\nusage: { ledger: u, keep_days: 400d }"),
    ("routes", "tenants: 5"),
    ("routes", "tenants: { 'no good': {} }"),
    ("routes", "tenants: { acme: { databse: acme } }"),
    ("routes", "tenants: { acme: { state: sleeping } }"),
    ("routes", "tenants: { acme: { users: app } }"),
    ("routes", "tenants: { acme: { users: [] } }"),
    ("routes", "tenants: { acme: { pool: { mode: session } } }"),
    ("routes", "tenants: { acme: { limits: { clients: 0 } } }"),
    ("routes", "tenants: { acme: { limits: { clients: '5' } } }"),
    ("routes", "tenants: { acme: { settings: { app.list: [1] } } }"),
    ("routes", "tenants: { acme: { settings: { work mem: 1 } } }"),
    ("routes", "servers: { main: {} }"),
    ("routes", "servers: { main: { hosts: [] } }"),
    ("routes", "databases: { shared: { dbname: saas } }"),
    ("routes", "hints: [{ user: a, startup: b }]"),
    ("routes", "hints: [{}]"),
    ("routes", "include: routes.d/*.yaml"),
    ("routes", "include: [routes.d]"),
]


@pytest.mark.parametrize("name, text", GOOD)
def test_good_documents(name, text):
    assert [error.message for error in validator(name).iter_errors(read(text))] == []


@pytest.mark.parametrize("name, text", BAD)
def test_bad_documents(name, text):
    assert not validator(name).is_valid(read(text))


def objects(node):
    """Every part of a schema that describes a mapping with keys of its own."""
    if isinstance(node, dict):
        if "properties" in node:
            yield node
        for part in node.values():
            yield from objects(part)
    elif isinstance(node, list):
        for part in node:
            yield from objects(part)


@pytest.mark.parametrize("name", ["pglodge", "routes"])
def test_unknown_keys_are_refused_everywhere_and_known_ones_described(name):
    found = list(objects(schema(name)))
    assert found
    for part in found:
        assert part["additionalProperties"] is False
        assert all(key["description"] for key in part["properties"].values())


@pytest.mark.parametrize("name", ["pglodge", "routes"])
def test_a_slip_in_the_sample_is_noticed(name):
    for key in sample(name):
        slipped = copy.deepcopy(sample(name))
        slipped[key + "x"] = slipped.pop(key)
        assert not validator(name).is_valid(slipped)
