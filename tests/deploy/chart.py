"""The Helm chart, rendered by Helm's own library: with the files of deploy/kubernetes it gives the same manifests."""

import pathlib

import kubernetes_validate
import yaml
from helm_python.chart import Chart
from helm_python.errors import HelmError

ROOT = pathlib.Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "deploy/kubernetes"
CHART = ROOT / "deploy/helm/appserver"
# Labels that a chart sets and a kustomization does not, and the one that both set everywhere.
OF_CHART = {"app.kubernetes.io/instance", "helm.sh/chart"}
NAME = "app.kubernetes.io/name"


def plain(node):
    """A manifest without what the two ways of installing it call differently."""
    if isinstance(node, dict):
        return {key: plain(value) for key, value in node.items() if key not in OF_CHART}
    return [plain(one) for one in node] if isinstance(node, list) else node


def comparable(document):
    document = plain(document)
    labels = document["metadata"].get("labels", {})
    labels.pop(NAME, None)
    if not labels:
        document["metadata"].pop("labels", None)
    if document["kind"] == "Deployment":
        [container] = document["spec"]["template"]["spec"]["containers"]
        container.pop("image")
        container.pop("imagePullPolicy", None)
    return document


def by_name(documents):
    return {(one["kind"], one["metadata"]["name"]): comparable(one) for one in documents}


def rendered(chart, values, **options):
    texts = chart.render(values, namespace="appserver", **options)
    texts = [text for path, text in texts.items() if path.endswith(".yaml")]
    return [one for text in texts for one in yaml.safe_load_all(text) if one]


def refuses(chart, values):
    try:
        chart.validate_schema(values)
    except HelmError:
        return
    raise AssertionError(f"the schema of the values admits {values}")


def main():
    chart = Chart.load(str(CHART))
    values = {
        "config": (KUBERNETES / "appserver.toml").read_text(),
        "policies": {"one-album.json": (KUBERNETES / "policies/one-album.json").read_text()},
    }
    chart.validate_schema(values)
    made = rendered(chart, values, name="appserver")
    for document in made:
        if "monitoring.coreos.com" not in document["apiVersion"]:
            kubernetes_validate.validate(document, "1.37", strict=True)
    made = by_name(made)
    config_map = made.pop(("ConfigMap", "appserver"))
    assert config_map["data"] == {"appserver.toml": values["config"], **values["policies"]}
    files = [path for path in KUBERNETES.glob("*.yaml") if path.name != "kustomization.yaml"]
    written = by_name(one for path in files for one in yaml.safe_load_all(path.read_text()) if one)
    assert made.keys() == written.keys(), sorted(made.keys() ^ written.keys())
    for name in made:
        assert made[name] == written[name], f"{name}:\n{made[name]}\n{written[name]}"

    # Two releases side by side select their own pods alone.
    other = by_name(rendered(chart, values, name="other"))
    assert all(name.startswith("other") for _, name in other), sorted(other)
    without = {**values, "monitoring": {"enabled": False}, "networkPolicy": {"enabled": False},
               "serviceAccount": {"rrsaRoleName": ""}}
    kinds = {kind for kind, _ in by_name(rendered(chart, without, name="appserver"))}
    assert not kinds & {"ServiceMonitor", "PrometheusRule", "NetworkPolicy"}, sorted(kinds)

    refuses(chart, {})
    refuses(chart, {**values, "confg": "x"})
    refuses(chart, {**values, "replicas": {"min": 0, "max": 6, "cpuPercent": 60}})
    refuses(chart, {**values, "policies": {"../x": "{}"}})
    print(f"the chart renders the {len(written)} manifests of deploy/kubernetes")


main()
