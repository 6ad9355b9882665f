"""Access keys of a server, and AWS clients that use them."""

import json
import os

import pytest

from harness import MAYFLY, run


class Account:
    """An access key of the server, and the environment in which AWS clients find it."""

    def __init__(self, server):
        self.url = server.api_url
        made = run([MAYFLY, "keys", "create", "--name", "client tests", "--json", "--data", server.data], check=0)
        key = json.loads(made.out)
        self.id, self.secret = key["access_key_id"], key["secret_access_key"]
        self.env = {**os.environ, "AWS_ACCESS_KEY_ID": self.id, "AWS_SECRET_ACCESS_KEY": self.secret,
                    "AWS_DEFAULT_REGION": "us-east-1", "AWS_REGION": "us-east-1",
                    "AWS_EC2_METADATA_DISABLED": "true", "AWS_PAGER": "", "HOME": server.home,
                    "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}

    def boto(self, service="sqs", **options):
        boto3 = pytest.importorskip("boto3", reason="python3-boto3 is not installed")
        options = {"aws_access_key_id": self.id, "aws_secret_access_key": self.secret,
                   "region_name": "us-east-1", **options}
        return boto3.client(service, endpoint_url=self.url, **options)
