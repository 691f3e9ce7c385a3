"""Every alert of deploy/prometheus/alerts.yaml fires and is resolved, in Prometheus's own rule tests.

    alerts.py PROMTOOL FOLDER

Each row below is the series that makes an alert fire and then lets it be resolved: one sample a minute, in Prometheus's
notation. An alert without a row fails, and so does a row without an alert.
"""

import pathlib
import re
import subprocess
import sys

import yaml

DAY = 1440
# alert: (series, samples that fire it, samples that resolve it); the resolving ones follow at once.
ROWS = {
    "AppServerDown": [("up{job='appserver'}", "0x5", "1x40")],
    "AppServerNotReady": [("appserver_ready", "0x5", "1x40")],
    "AppServerStsUnreachable": [("appserver_vend_breaker_open", "1x5", "0x40")],
    "AppServerBudgetSpent": [("appserver_vend_queue_length", "21x10", "0x40")],
    "AppServerServerErrors": [
        ("appserver_http_request_duration_seconds_count{status='500'}", "0+2x20", "40x40"),
        ("appserver_http_request_duration_seconds_count{status='200'}", "0+100x20", "2000+100x40"),
    ],
    "AppServerRefusedBySts": [
        ("appserver_requests_failed_total{reason='sts_no_permission'}", "0+2x20", "40x40")
    ],
    "AppServerUploadReportsKept": [("appserver_upload_callback_kept", "3x20", "0x40")],
    "AppServerUploadsNotForwarded": [
        ("appserver_requests_failed_total{reason='callback_backend'}", "0+2x20", "40x40")
    ],
    "AppServerDecisionHookFails": [
        ("appserver_decision_requests_total{mode='enforce',outcome='failed'}", "0+2x20", "40x40")
    ],
    "AppServerPanicked": [("appserver_panics_total", "0 1x5", "1x40")],
    "AppServerProofsDisagree": [("appserver_policy_disagreements_total", "0 1x5", "1x40")],
    "AppServerLogLinesDropped": [("appserver_log_lines_dropped_total", "0 9x5", "9x40")],
    "AppServerReloadRefused": [("appserver_config_last_reload_successful", "0x9", "1x40")],
    "AppServerNeedsRestart": [("appserver_config_needs_restart", "1x70", "0x40")],
    "AppServerReplicasDiffer": [
        ("appserver_config_info{hash='a',instance='one'}", "1x20", "1x40"),
        ("appserver_config_info{hash='b',instance='two'}", "1x20", "_x40"),
    ],
    "AppServerAccessKeyUnverified": [("appserver_access_key_unverified", "1x9", "0x40")],
    # Time begins at 0: an expiry at 500 seconds is less than ten minutes away.
    "AppServerIdentityExpires": [
        ("appserver_upstream_identity_expiry_timestamp_seconds", "500x5", "99999x40")
    ],
    "AppServerAuditUnavailable": [("appserver_audit_up", "0x5", "1x40")],
    "AppServerAuditLinesLost": [("appserver_audit_lines_lost_total", "0 3x5", "3x40")],
    "AppServerCertificateExpires": [
        ("appserver_tls_certificate_expiry_timestamp_seconds", "86400x70", "99999999x40")
    ],
    "AppServerIssuerKeysOld": [("appserver_jwks_age_seconds", "3601x15", "5x40")],
    "AppServerIssuerWithoutKeys": [("appserver_jwks_keys", "0x9", "2x40")],
    "AppServerRedisUnavailable": [("appserver_store_degraded", "1x5", "0x40")],
    "AppServerRedisNotDecrypted": [("appserver_store_decrypt_failures_total", "0+5x30", "150x40")],
    "AppServerRedisForeignValues": [
        ("appserver_store_replaced_total{operation='budget'}", "0 1x5", "1x40")
    ],
    "AppServerRevocationsNotRead": [("appserver_revocations_up{source='file'}", "0x5", "1x40")],
    "AppServerCredentialsTried": [
        ("appserver_throttled_total{limit='address-failures'}", "0+20x20", "400x40")
    ],
    "AppServerCallersThrottled": [
        ("appserver_throttled_total{limit='client',mode='enforce',client='a'}", "0+50x30", "1500x40")
    ],
    "AppServerConnectionsRefused": [
        ("appserver_connections_refused_total{bound='server'}", "0+1x15", "15x40")
    ],
    "AppServerTracesNotExported": [
        ("appserver_trace_failed_exports_total{reason='unreachable'}", "0+1x30", "30x40")
    ],
}
# What the rules' `sum` keeps of a series' labels.
KEPT = {
    "AppServerServerErrors": (),
    "AppServerReplicasDiffer": (),
    "AppServerCredentialsTried": ("limit",),
    "AppServerCallersThrottled": ("limit", "client"),
}


def minutes(duration):
    number, unit = re.fullmatch(r"(\d+)([mhd])", duration).groups()
    return int(number) * {"m": 1, "h": 60, "d": DAY}[unit]


def length(samples):
    """How many samples a notation has: `0 1x5` has seven."""
    return sum(int(part.split("x")[1]) + 1 if "x" in part else 1 for part in samples.split())


def case(rule):
    name = rule["alert"]
    rows = ROWS[name]
    fires_at = length(rows[0][1]) - 1
    assert fires_at >= minutes(rule["for"]), f"{name}: its samples are shorter than `for`"
    labels = dict(rule["labels"])
    found = dict(re.findall(r"(\w+)='([^']*)'", rows[0][0]))
    labels |= {key: value for key, value in found.items() if key in KEPT.get(name, found)}
    at = lambda minute, alerts: {
        "eval_time": f"{minute}m",
        "alertname": name,
        "exp_alerts": alerts,
    }
    return {
        "interval": "1m",
        "input_series": [{"series": s, "values": f"{fire} {end}"} for s, fire, end in rows],
        "alert_rule_test": [
            at(fires_at, [{"exp_labels": labels, "exp_annotations": rule["annotations"]}]),
            at(fires_at + 40, []),
        ],
    }


def main(promtool, folder):
    root = pathlib.Path(__file__).resolve().parents[2]
    rules_file = root / "deploy/prometheus/alerts.yaml"
    rules = [rule for group in yaml.safe_load(rules_file.read_text())["groups"] for rule in group["rules"]]
    names = {rule["alert"] for rule in rules}
    assert names == set(ROWS), f"not in both places: {sorted(names ^ set(ROWS))}"
    page = (root / "docs/operate/alerts.md").read_text()
    for rule in rules:
        notes = rule["annotations"]
        missing = {"summary", "consequence", "action", "docs"} - set(notes)
        assert not missing and rule["for"], f"{rule['alert']} lacks {missing or 'for'}"
        anchor = notes["docs"].removeprefix("docs/operate/alerts.md#")
        assert f'<a id="{anchor}"></a>' in page, f"{notes['docs']} does not exist"
    made = pathlib.Path(folder) / "alerts.test.yaml"
    tests = {"rule_files": [str(rules_file)], "evaluation_interval": "1m", "tests": [case(r) for r in rules]}
    made.write_text(yaml.safe_dump(tests))
    subprocess.run([promtool, "check", "rules", rules_file], check=True)
    subprocess.run([promtool, "test", "rules", made], check=True)
    print(f"{len(rules)} alerts fire and are resolved")


main(*sys.argv[1:])
