"""What template.yaml gives the functions. Standard input is JSON: {"parameters", "secrets": {logical id: ARN}, "calls"}.

`calls` is null or, by a function's logical id, the list of [action, resource] that it made. The last line of standard output
is JSON. `functions`, by logical id: `binary`, `environment`, `input` (its schedule's, or null), `statements`, and of its calls
those `denied` and the allowances `unused`. `watched`, by a metric's name and the source: the entities that an alarm looks at.

The statements are the function's own and those of the policies that it names; what SAM adds for logs and the queue is left out.
"""

import json
import re
import sys

from cfnlint.decode import decode
from moto.iam.access_control import IAMPolicyStatement, PermissionResult

asked = json.load(sys.stdin)
template, faults = decode("template.yaml")
assert not faults, faults
values = {
    "AWS::Partition": "aws",
    "AWS::StackName": "stack",
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": "123456789012",
    **{name: parameter.get("Default") for name, parameter in template["Parameters"].items()},
    **asked["parameters"],
    **asked["secrets"],
}


def resolve(value):
    """`value` with Ref and Fn::Sub carried out; any other function is an error, so that none is overlooked."""
    if isinstance(value, list):
        return [resolve(each) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"}:
        return values[value["Ref"]]
    if set(value) == {"Fn::Sub"} and isinstance(value["Fn::Sub"], str):
        return re.sub(r"\$\{([\w:]+)\}", lambda found: str(values[found[1]]), value["Fn::Sub"])
    assert not any(name == "Ref" or name.startswith("Fn::") for name in value), value
    return {name: resolve(each) for name, each in value.items()}


def statements(policies):
    for policy in policies:
        if "Ref" in policy:
            yield from resolve(template["Resources"][policy["Ref"]]["Properties"]["PolicyDocument"]["Statement"])
        else:
            yield from resolve(policy["Statement"])


def listed(value):
    return value if isinstance(value, list) else [value]


def allows(statement, call):
    return IAMPolicyStatement(statement).is_action_permitted(*call) == PermissionResult.PERMITTED


def judge(allowed, calls):
    single = [
        {"Effect": statement["Effect"], "Action": action, "Resource": resource}
        for statement in allowed
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    ]
    denied = [call for call in calls if not any(allows(statement, call) for statement in allowed)]
    unused = [
        [statement["Action"], statement["Resource"]]
        for statement in single
        if not any(allows(statement, call) for call in calls)
    ]
    return {"denied": denied, "unused": unused}


found = {}
for name, resource in template["Resources"].items():
    if resource["Type"] != "AWS::Serverless::Function":
        continue
    properties = resource["Properties"]
    shared = template["Globals"]["Function"]["Environment"]["Variables"]
    schedules = [event["Properties"] for event in properties.get("Events", {}).values()]
    found[name] = {
        "binary": resource["Metadata"]["BuildProperties"]["Binary"],
        "environment": resolve({**shared, **properties["Environment"]["Variables"]}),
        "input": schedules[0]["Input"] if schedules else None,
        "statements": list(statements(properties["Policies"])),
    }
    if asked["calls"] is not None:
        found[name].update(judge(found[name]["statements"], asked["calls"][name]))
watched = {}
for resource in template["Resources"].values():
    for metric in resource["Properties"].get("Metrics", []) if resource["Type"] == "AWS::CloudWatch::Alarm" else []:
        metric = metric.get("MetricStat", {}).get("Metric", {})
        if metric.get("Namespace") == "ticketlake":
            dimensions = {dimension["Name"]: dimension["Value"] for dimension in metric["Dimensions"]}
            sources = watched.setdefault(metric["MetricName"], {})
            sources.setdefault(dimensions["source"], []).append(dimensions["entity"])
print(json.dumps({"functions": found, "watched": watched}))
