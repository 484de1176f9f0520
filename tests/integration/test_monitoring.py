"""The dashboard and the alert rules in packaging/ use metrics that exist, and promtool accepts both sides."""

import json
import re
import shutil
import subprocess

import pytest
import yaml
from lodge import ROOT
from test_http import desk  # noqa: F401  a fixture

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(not PROMTOOL, reason="promtool is not there (Debian's package prometheus)")
DASHBOARD = ROOT / "packaging/grafana-dashboard.json"
RULES = ROOT / "packaging/prometheus-rules.yaml"


def expressions():
    """PromQL, with where it stands."""
    def walk(node, where):
        if isinstance(node, dict):
            for key, value in node.items():
                if key in ("expr", "query") and isinstance(value, str):
                    yield where, value
                else:
                    yield from walk(value, f"{where}.{key}")
        elif isinstance(node, list):
            for number, value in enumerate(node):
                yield from walk(value, f"{where}.{number}")
    yield from walk(json.loads(DASHBOARD.read_text()), "dashboard")
    yield from walk(yaml.safe_load(RULES.read_text()), "rules")


def test_dashboard_and_rules_use_metrics_that_exist(desk):
    there = {re.match(r"\w+", name).group() for name in desk.metrics()}
    with desk.lodge.login("trusted.globex", "crm") as wire:
        wire.rows("SELECT 1")
    _, _, text = desk.ask("/metrics")
    there |= set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    used = [(where, name) for where, query in expressions() for name in re.findall(r"\bpglodge_\w+", query)]
    assert len(used) > 15
    assert [(where, name) for where, name in used if name not in there] == []


@needs_promtool
def test_promtool_accepts_the_rules():
    checked = subprocess.run([PROMTOOL, "check", "rules", RULES], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@needs_promtool
def test_promtool_accepts_the_metrics(desk):
    _, _, text = desk.ask("/metrics")
    checked = subprocess.run([PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
