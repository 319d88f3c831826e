"""Prints infra/backfill.asl.yaml within a template: that is where cfn-lint looks at state machines."""

import json

import yaml

with open("infra/backfill.asl.yaml", encoding="utf-8") as file:
    definition = yaml.safe_load(file)
# What cfn-lint does not know: a partition to be filled in, and that JSONata may say how many windows are read at once.
definition["States"]["Windows"]["MaxConcurrency"] = 1
text = json.dumps(definition).replace("${Partition}", "aws").replace("${Functions}", "stack-")
properties = {"RoleArn": "arn:aws:iam::123456789012:role/backfill", "Definition": json.loads(text)}
print(json.dumps({"Resources": {"Backfill": {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}}}))
