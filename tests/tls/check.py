#!/usr/bin/env python3
"""Checks sslyze's results of a listener; prints the differences, and fails if there are any."""

import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    scan = json.load(file)
[server] = scan["server_scan_results"]
assert server["scan_status"] == "COMPLETED", server["scan_status"]
results = server["scan_result"]
wrong = []


def result(name):
    attempt = results[name]
    if attempt["status"] != "COMPLETED":
        wrong.append(f"{name}: {attempt['status']} {attempt['error_reason']} {attempt['error_trace']}")
        return None
    return attempt["result"]


def expect(name, *path, equals):
    value = result(name)
    for key in path:
        value = value[key] if value is not None else None
    if value != equals:
        wrong.append(f"{name} {'.'.join(path)}: {value!r}, not {equals!r}")


def accepted(name):
    suites = (result(name) or {}).get("accepted_cipher_suites", [])
    return {suite["cipher_suite"]["name"] for suite in suites}


for version in ["ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"]:
    if suites := accepted(f"{version}_cipher_suites"):
        wrong.append(f"{version} is spoken: {suites}")
# With a key of ECDSA; each gives forward secrecy and authenticates what it encrypts.
if (suites := accepted("tls_1_2_cipher_suites")) != {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
}:
    wrong.append(f"TLS 1.2: {suites}")
if (suites := accepted("tls_1_3_cipher_suites")) != {
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
}:
    wrong.append(f"TLS 1.3: {suites}")
expect("tls_compression", "supports_compression", equals=False)
expect("tls_1_3_early_data", "supports_early_data", equals=False)
expect("heartbleed", "is_vulnerable_to_heartbleed", equals=False)
expect("openssl_ccs_injection", "is_vulnerable_to_ccs_injection", equals=False)
expect("robot", "robot_result", equals="NOT_VULNERABLE_RSA_NOT_SUPPORTED")
expect("session_renegotiation", "is_vulnerable_to_client_renegotiation_dos", equals=False)
expect("session_renegotiation", "supports_secure_renegotiation", equals=True)
expect("tls_fallback_scsv", "supports_fallback_scsv", equals=True)
expect("tls_extended_master_secret", "supports_ems_extension", equals=True)

for line in wrong:
    print(f"tests/tls/check.py: {line}", file=sys.stderr)
sys.exit(bool(wrong))
