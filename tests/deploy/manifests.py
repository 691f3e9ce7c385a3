"""The manifests, the compose file, the dashboard and the systemd unit, by the schemas and parsers of their own worlds.

    manifests.py PROMTOOL FOLDER
"""

import json
import pathlib
import re
import subprocess
import sys
import tomllib

import jsonschema
import kubernetes_validate
import yaml
from compose_spec import PyCompose

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"


def strict(properties, required=()):
    """A schema that admits exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required or properties),
        "additionalProperties": False,
    }


TEXT = {"type": "string", "minLength": 1}
TEXTS = {"type": "array", "items": TEXT, "minItems": 1}
LABELS = {"type": "object", "additionalProperties": TEXT, "minProperties": 1}
META = strict({"name": TEXT})
# What the custom resources here use of their definitions: Prometheus Operator's API v1, and kustomize's v1beta1.
CUSTOM = {
    "ServiceMonitor": strict(
        {
            "apiVersion": {"const": "monitoring.coreos.com/v1"},
            "kind": TEXT,
            "metadata": META,
            "spec": strict(
                {
                    "jobLabel": TEXT,
                    "selector": strict({"matchLabels": LABELS}),
                    "endpoints": {
                        "type": "array",
                        "minItems": 1,
                        "items": strict({"port": TEXT, "path": TEXT, "interval": {"pattern": "^[0-9]+s$"}}),
                    },
                }
            ),
        }
    ),
    "PrometheusRule": strict(
        {
            "apiVersion": {"const": "monitoring.coreos.com/v1"},
            "kind": TEXT,
            "metadata": META,
            "spec": strict({"groups": {"type": "array", "minItems": 1}}),
        }
    ),
    "Kustomization": strict(
        {
            "apiVersion": {"const": "kustomize.config.k8s.io/v1beta1"},
            "kind": TEXT,
            "namespace": TEXT,
            "labels": {
                "type": "array",
                "items": strict({"pairs": LABELS, "includeSelectors": {"type": "boolean"}}),
            },
            "resources": TEXTS,
            "images": {"type": "array", "items": strict({"name": TEXT, "newName": TEXT, "newTag": TEXT})},
            "configMapGenerator": {"type": "array", "items": strict({"name": TEXT, "files": TEXTS})},
            "generatorOptions": strict({"disableNameSuffixHash": {"const": True}}),
        }
    ),
}


def documents(path):
    return [one for one in yaml.safe_load_all(path.read_text()) if one]


def schemas():
    """Every document is what its kind admits."""
    count = 0
    for path in [*KUBERNETES.glob("*.yaml"), DEPLOY / "proxies/ingress.yaml"]:
        for document in documents(path):
            if schema := CUSTOM.get(document["kind"]):
                jsonschema.validate(document, schema)
            else:
                kubernetes_validate.validate(document, "1.37", strict=True)
            count += 1
    print(f"{count} manifests are valid")


def kustomization():
    """What it names exists, and everything that exists is named."""
    [names] = documents(KUBERNETES / "kustomization.yaml")
    resources = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(names["resources"]) == resources, sorted(set(names["resources"]) ^ resources)
    [config_map] = names["configMapGenerator"]
    keys = {}
    for file in config_map["files"]:
        key, _, path = file.rpartition("=")
        keys[key or path] = (KUBERNETES / path).read_text()
    [deployment] = documents(KUBERNETES / "deployment.yaml")
    pod = deployment["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounted = volumes["config"]["configMap"]
    assert mounted["name"] == config_map["name"]
    assert {item["key"] for item in mounted["items"]} == set(keys)
    assert keys["one-album.json"] == (ROOT / "config/policies/one-album.json").read_text()
    # The numbers that depend on each other.
    config = tomllib.loads(keys["appserver.toml"])
    [autoscaler] = documents(KUBERNETES / "horizontalpodautoscaler.yaml")
    assert config["store"]["redis"]["expected_replicas"] == autoscaler["spec"]["maxReplicas"]
    stops_after = (config["server"]["lame_duck_ms"] + config["server"]["drain_timeout_ms"]) / 1000
    assert pod["terminationGracePeriodSeconds"] >= stops_after + 3
    [container] = pod["containers"]
    secrets = next(m["mountPath"] for m in container["volumeMounts"] if m["name"] == "secrets")
    assert config["sts"]["identity"]["access_key"]["id_file"].startswith(secrets + "/")
    [rule] = documents(KUBERNETES / "prometheusrule.yaml")
    [alerts] = documents(DEPLOY / "prometheus/alerts.yaml")
    assert rule["spec"]["groups"] == alerts["groups"], "prometheusrule.yaml is not alerts.yaml"
    print("the kustomization is complete")


def compose(promtool, made):
    text = (DEPLOY / "compose.yaml").read_text()
    PyCompose.from_yaml(text).validate()
    parsed = yaml.safe_load(text)
    for name, service in parsed["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), f"{name}: {source} does not exist"
    scraped = (DEPLOY / "compose/prometheus.yaml").read_text()
    config = made / "prometheus.yaml"
    config.write_text(scraped.replace("/etc/prometheus/", f"{DEPLOY}/prometheus/"))
    subprocess.run([promtool, "check", "config", config], check=True, stdout=subprocess.DEVNULL)
    provisioning = DEPLOY / "compose/grafana"
    [sources] = documents(provisioning / "datasources/prometheus.yaml")
    assert sources["datasources"][0]["url"] == "http://prometheus:9090"
    [providers] = documents(provisioning / "dashboards/appserver.yaml")
    folder = providers["providers"][0]["options"]["path"]
    assert f"./grafana:{folder}:ro" in parsed["services"]["grafana"]["volumes"]
    print("the compose file is valid")


def dashboard(promtool, made):
    """Every expression parses, no two panels overlap, and each part that operators expect has panels."""
    board = json.loads((DEPLOY / "grafana/appserver.json").read_text())
    [*annotations] = board["annotations"]["list"]
    expressions = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    expressions += [annotation["expr"] for annotation in annotations]
    rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(expressions)]
    file = made / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    subprocess.run([promtool, "check", "rules", file], check=True, stdout=subprocess.DEVNULL)
    taken = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, f"{panel['title']} overlaps"
        taken |= cells
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    parts = ["vend", "sts_call", "http_request", "requests_failed", "audit", "jwks", "store", "tls_certificate", "decision", "revocations"]
    without = [part for part in parts if not any(f"appserver_{part}" in expr for expr in expressions)]
    assert not without, f"no panel shows {without}"
    print(f"{len(expressions)} expressions of the dashboard parse")


def syscall_sets():
    listed = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager"], check=True, capture_output=True, text=True
    ).stdout
    sets, current = {}, None
    for line in listed.splitlines():
        if line.startswith("@"):
            current = sets.setdefault(line.strip(), [])
        elif line.startswith("    ") and current is not None and not line.strip().startswith("#"):
            current.append(line.strip())
    def expand(name):
        return set().union(*(expand(n) if n.startswith("@") else {n} for n in sets[name]))
    return expand


def unit(made):
    """The sandbox is tight, and lets every system call through that the service was seen to make (`strace -c`)."""
    text = (DEPLOY / "systemd/appserver.service").read_text()
    file = made / "appserver.service"
    file.write_text(text.replace("/usr/local/bin/appserver", "/bin/true"))
    subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=20", file],
                   check=True, stdout=subprocess.DEVNULL)
    verified = subprocess.run(["systemd-analyze", "verify", file], capture_output=True, text=True)
    assert verified.returncode == 0 and "appserver.service" not in verified.stderr, verified.stderr
    expand = syscall_sets()
    allowed = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", text, re.MULTILINE):
        words = set().union(*(expand(w) if w.startswith("@") else {w} for w in line.lstrip("~").split()))
        allowed = allowed - words if line.startswith("~") else allowed | words
    rows = [line.split() for line in (made / "syscalls").read_text().splitlines()]
    seen = {row[-1] for row in rows if len(row) >= 5 and row[0][0].isdigit()} - {"total"}
    assert {"openat", "accept4", "epoll_wait"} <= seen, f"strace saw only {sorted(seen)}"
    assert seen <= allowed, f"the unit refuses {sorted(seen - allowed)}"
    print(f"the unit admits the {len(seen)} system calls that were seen")


def main(promtool, folder):
    made = pathlib.Path(folder)
    schemas()
    kustomization()
    compose(promtool, made)
    dashboard(promtool, made)
    unit(made)


main(*sys.argv[1:])
