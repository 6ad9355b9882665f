"""Python handlers of the events that other services send."""

import base64
import gzip
import json
import zlib
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from decimal import Decimal


def sqs(event, context):
    """Tells which messages are to come again."""
    failures = []
    for record in event["Records"]:
        try:
            if json.loads(record["body"])["amount"] < 0:
                raise ValueError("negative")
        except Exception:
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}


def sns(event, context):
    return [json.loads(record["Sns"]["Message"]) for record in event["Records"]]


def s3(event, context):
    return ["%s/%s" % (r["s3"]["bucket"]["name"], r["s3"]["object"]["key"]) for r in event["Records"]]


def kinesis(event, context):
    return [base64.b64decode(r["kinesis"]["data"]).decode() for r in event["Records"]]


def logs(event, context):
    packed = base64.b64decode(event["awslogs"]["data"])
    return [line["message"] for line in json.loads(gzip.decompress(packed))["logEvents"]]


def dynamodb(event, context):
    """Typed values of a table's stream."""

    def plain(typed):
        ((kind, value),) = typed.items()
        return {"S": str, "N": Decimal, "M": lambda m: {k: plain(v) for k, v in m.items()}}[kind](value)

    return [plain({"M": record["dynamodb"]["NewImage"]}) for record in event["Records"]]


def schedule(event, context):
    when = datetime.fromisoformat(event["time"].replace("Z", "+00:00"))
    return {"rule": event["resources"][0].rsplit("/", 1)[-1], "day": when.astimezone(timezone.utc).strftime("%A")}


def bus(event, context):
    return {"detail-type": event["detail-type"], "total": sum(event["detail"]["prices"])}


def authorizer(event, context):
    effect = "Allow" if event["authorizationToken"] == "open" else "Deny"
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": event["methodArn"]}
    return {
        "principalId": "user",
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": {"tier": "gold"},
    }


def cognito(event, context):
    """A trigger gives back the event it was given."""
    event["response"]["autoConfirmUser"] = event["request"]["userAttributes"]["email"].endswith("@example.test")
    return event


@dataclass
class Order:
    id: int
    total: float = 0.0


def task(event, context):
    """A step of a state machine."""
    order = Order(**event["order"])
    order.total = event["price"] * event["count"]
    return asdict(order)


class OutOfStock(Exception):
    pass


def failing_task(event, context):
    raise OutOfStock("none left of %s" % event["sku"])


def checksum(event, context):
    return zlib.crc32(event["text"].encode())


async def coroutine(event, context):
    return {"left": context.get_remaining_time_in_millis() > 0}


def generator(event, context):
    yield {"statusCode": 200, "headers": {"Content-Type": "text/plain"}}
    for number in range(3):
        yield "%d\n" % number
