"""The hello function as a handler: gets the API Gateway event, returns the answer."""

import json


def handler(event, context):
    name = json.loads(event["body"])["name"] if event.get("body") else "World"
    return {"statusCode": 200, "headers": {"content-type": "application/json"},
            "body": json.dumps({"message": "Hello " + name})}
