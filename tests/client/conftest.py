import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "support"))

import shutil  # noqa: E402
import subprocess  # noqa: E402
import tempfile  # noqa: E402
import uuid  # noqa: E402

import pytest  # noqa: E402

from account import Account  # noqa: E402,F401  tests import it from here
from plugin import *  # noqa: E402,F401,F403  fixtures and hooks


HERE = os.path.dirname(os.path.abspath(__file__))
# What npm says when there is no network; all else is a fault of the lockfile.
UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH",
               "ERR_SOCKET_TIMEOUT", "EIDLETIMEOUT")


@pytest.fixture(scope="session")
def account(server):
    return Account(server)


@pytest.fixture(scope="session")
def sqs(account):
    return account.boto()


@pytest.fixture(scope="session")
def functions(account):
    """Lambda, without a second try: a refusal is to be seen."""
    config = pytest.importorskip("botocore.config", reason="python3-boto3 is not installed")
    return account.boto("lambda", config=config.Config(retries={"max_attempts": 0}))


def installed(names, variable):
    """A folder with node_modules of tests/client/NAMES, by npm's lockfile; or the one that variable names."""
    given = os.environ.get(variable)
    if given:
        yield given
        return
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        pytest.skip("there is no node, or no npm")
    folder = tempfile.mkdtemp(prefix="mayfly-client-")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(os.path.join(HERE, names, name), folder)
    try:
        done = subprocess.run([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
                              cwd=folder, capture_output=True, text=True, timeout=400)
        if done.returncode != 0:
            if any(code in done.stderr for code in UNREACHABLE):
                pytest.skip("npm's registry cannot be reached: " + done.stderr[-300:])
            pytest.fail(f"npm ci of tests/client/{names} failed: " + done.stderr[:2000])
        yield folder
    except subprocess.TimeoutExpired:
        pytest.skip("npm's registry is too slow")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def modules():
    """The AWS SDK v3. MAYFLY_CLIENT_MODULES names a folder that has it already."""
    yield from installed("js", "MAYFLY_CLIENT_MODULES")


@pytest.fixture(scope="session")
def lambda_modules():
    """What the handlers of tests/client/lambda are made with. MAYFLY_LAMBDA_MODULES: a folder that has it."""
    yield from installed("lambda", "MAYFLY_LAMBDA_MODULES")


@pytest.fixture
def name():
    return "q-" + uuid.uuid4().hex[:12]
