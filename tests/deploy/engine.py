"""Runs one execution of a state machine on moto's engine (LocalStack's interpreter of the Amazon States Language).

Standard input is JSON: `definition` (a file), `substitutions`, `input`, and `invoke`, the address that stands for
Lambda: POST /FUNCTION with the payload, answered by {"payload"} or {"error", "message"}. The last line of standard output is
JSON: `status`, `output`, `error`, `cause`, and `waits`, the seconds of every wait, none of which is waited for.

Two things are put in from outside. moto has no JSONata of its own: jsonata-python evaluates the expressions. And it would
ask Lambda for the functions: they are asked of `invoke`.
"""

import json
import re
import sys
import threading
import time
import urllib.request

import boto3
import jsonata
import yaml
from moto import mock_aws
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.wait.wait_function import wait_function
from moto.stepfunctions.parser.asl.jsonata import jsonata as moto_jsonata

REGION = "eu-west-1"
waits = []


def evaluate(expression):
    try:
        return jsonata.Jsonata(expression).evaluate(None)
    except Exception as error:
        raise moto_jsonata.JSONataException("QueryEvaluationError", f"{error}: {expression[-300:]}") from error


def invoke_at(address):
    def invoke(parameters, region, state_credentials):
        request = urllib.request.Request(f"{address}/{parameters['FunctionName']}", data=parameters["Payload"], method="POST")
        with urllib.request.urlopen(request) as answer:
            answer = json.load(answer)
        if "error" in answer:
            payload = {"errorType": answer["error"], "errorMessage": answer.get("message", "")}
            return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": payload}
        return {"StatusCode": 200, "Payload": answer["payload"]}

    return invoke


def skip(seconds):
    waits.append(seconds)


def main():
    asked = json.load(sys.stdin)
    moto_jsonata._eval_jsonata = evaluate
    lambda_eval_utils._invoke_lambda_function = invoke_at(asked["invoke"])
    retrier_decl.time = type("Clock", (), {"sleep": staticmethod(skip)})
    wait_function.WaitFunction._wait_interval = lambda self, env, wait_seconds: skip(wait_seconds)

    with open(asked["definition"], encoding="utf-8") as file:
        text = json.dumps(yaml.safe_load(file))
    text = re.sub(r"\$\{(\w+)\}", lambda found: asked["substitutions"][found[1]], text)
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        client = boto3.client("stepfunctions", region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test")
        role = "arn:aws:iam::123456789012:role/backfill"
        machine = client.create_state_machine(name="backfill", definition=text, roleArn=role)["stateMachineArn"]
        run = client.start_execution(stateMachineArn=machine, input=json.dumps(asked["input"]))["executionArn"]
        while (ended := client.describe_execution(executionArn=run))["status"] == "RUNNING":
            time.sleep(0.05)
    output = json.loads(ended["output"]) if ended.get("output") else None
    answer = {name: ended.get(name) for name in ("status", "error", "cause")}
    print(json.dumps({**answer, "output": output, "waits": waits}))


# A worker of the engine goes from window to window by recursion.
sys.setrecursionlimit(1_000_000)
threading.stack_size(512 * 1024 * 1024)
main()
