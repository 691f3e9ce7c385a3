#!/usr/bin/env python3
"""Every format of a plan holds the roles and policies of the plan as data, for a parser of its language."""

import json
import pathlib
import shlex

import hcl2
import yaml

FOLDER = pathlib.Path(__file__).resolve().parent


def planned(plan):
    """(roles by name: trust policy and duration, policies by name: document, holders by policy)."""
    roles, policies, holders = {}, {}, {}

    def add(kind, name, own):
        for policy in own:
            policies[policy["name"]] = policy["document"]
            holders[policy["name"]] = (kind, name)

    identity = plan["identity"]
    if identity["kind"] == "user":
        add("user", identity["name"], identity["policies"])
    for role in ([] if identity["kind"] == "user" else [identity["role"]]) + plan["roles"]:
        roles[role["name"]] = (role["trust_policy"], role["max_session_duration_secs"])
        add("role", role["name"], role["policies"])
    return roles, policies, holders


def text(template):
    """The text of a quoted template without expressions."""
    raw = json.loads(template)
    assert "${" not in raw.replace("$${", ""), raw
    return raw.replace("$${", "${").replace("%%{", "%{")


def of_terraform(file):
    found = {}
    with file.open(encoding="utf-8") as opened:
        for block in hcl2.load(opened)["resource"]:
            for kind, labelled in block.items():
                for label, body in labelled.items():
                    found[json.loads(kind), json.loads(label)] = body

    def referred(expression):
        kind, label, member = expression.removeprefix("${").removesuffix("}").split(".")
        return text(found[kind, label][member])

    roles, policies, holders = {}, {}, {}
    for (kind, _), body in found.items():
        if kind == "alicloud_ram_role":
            trust = json.loads(text(body["assume_role_policy_document"]))
            roles[text(body["role_name"])] = (trust, body["max_session_duration"])
        elif kind == "alicloud_ram_policy":
            policies[text(body["policy_name"])] = json.loads(text(body["policy_document"]))
        elif kind.endswith("_policy_attachment"):
            holder = kind.removeprefix("alicloud_ram_").removesuffix("_policy_attachment")
            member = {"user": "user_name", "role": "role_name"}[holder]
            holders[referred(body["policy_name"])] = (holder, referred(body[member]))
    return roles, policies, holders


def of_ros(file):
    template = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert template["ROSTemplateFormatVersion"] == "2015-09-01"
    roles, policies, holders = {}, {}, {}
    for resource in template["Resources"].values():
        assert all(name in template["Resources"] for name in resource.get("DependsOn", []))
        of = resource["Properties"]
        if resource["Type"] == "ALIYUN::RAM::Role":
            roles[of["RoleName"]] = (of["AssumeRolePolicyDocument"], of["MaxSessionDuration"])
        elif resource["Type"] == "ALIYUN::RAM::ManagedPolicy":
            policies[of["PolicyName"]] = of["PolicyDocumentUnchecked"]
            kind = "user" if "Users" in of else "role"
            holders[of["PolicyName"]] = (kind, of[kind.capitalize() + "s"][0])
    return roles, policies, holders


def of_script(file):
    roles, policies, holders = {}, {}, {}
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("aliyun ram "):
            continue
        _, _, action, *words = shlex.split(line)
        of = dict(zip([name.removeprefix("--") for name in words[::2]], words[1::2], strict=True))
        if action == "CreateRole":
            trust = json.loads(of["AssumeRolePolicyDocument"])
            roles[of["RoleName"]] = (trust, int(of["MaxSessionDuration"]))
        elif action == "CreatePolicy":
            policies[of["PolicyName"]] = json.loads(of["PolicyDocument"])
        elif action.startswith("AttachPolicyTo"):
            kind = action.removeprefix("AttachPolicyTo")
            holders[of["PolicyName"]] = (kind.lower(), of[kind + "Name"])
    return roles, policies, holders


def main():
    count = 0
    for plan in sorted(FOLDER.glob("*.json")):
        expected = planned(json.loads(plan.read_text(encoding="utf-8")))
        assert all(expected), plan
        for suffix, read in [(".tf", of_terraform), (".yaml", of_ros), (".sh", of_script)]:
            file = plan.with_suffix(suffix)
            assert read(file) == expected, f"{file.name} differs from {plan.name}"
            count += 1
    assert count >= 9, count
    print(f"{count} files hold what their plans do")


if __name__ == "__main__":
    main()
