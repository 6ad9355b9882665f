"""Templates rehearse: the runtime answers a few invocations of its own before it is cloned."""

import json
import os
import subprocess

import pytest

import clones
import driver
from conftest import JS, PY
from test_unique import start


@pytest.fixture
def form():
    """These tests make their own templates."""


NODE = """
const lib = process.argv[1];
const { rehearse, ROUNDS } = require(lib + '/rehearsal.js');
const { open } = require(lib + '/serve.js');
const addon = require(process.argv[2]);
require(lib + '/awslambda.js').install();
const listeners = () => process.eventNames().map((name) => [name, process.listenerCount(name)]);
const never = () => { throw new Error('the rehearsal ran the real handler'); };
const apps = {
  async: { kind: 'event', concurrency: 1, target: async (event) => never() },
  plain: { kind: 'event', concurrency: 1, target: (event) => never() },
  callback: { kind: 'event', concurrency: 1, target: (event, context, callback) => never() },
  several: { kind: 'event', concurrency: 8, target: async (event, context) => never() },
  streaming: { kind: 'event', concurrency: 1, target: awslambda.streamifyResponse(async (a, b, c) => never()) },
  listener: { kind: 'listener', concurrency: 0, target: (request, response) => never() },
  fetch: { kind: 'fetch', concurrency: 0, target: { fetch: never } },
};
(async () => {
  const before = JSON.stringify(listeners());
  const said = {};
  for (const [name, app] of Object.entries(apps)) {
    require(lib + '/serve.js').serverOf(app);
    const count = await rehearse({ ...app, handler: 'x', notes: [] }, addon.pair(), open);
    said[name] = count === ROUNDS;
  }
  said.listeners = JSON.stringify(listeners()) === before;
  said.sockets = require('fs').readdirSync('/proc/self/fd')
    .filter((fd) => { try { return require('fs').readlinkSync('/proc/self/fd/' + fd).startsWith('socket:'); } catch { return false; } }).length;
  console.log(JSON.stringify(said));
})();
"""


@pytest.mark.skipif(clones.needs_build() is not None, reason=str(clones.needs_build()))
def test_node_rehearses_every_model_and_leaves_nothing():
    lib = os.path.join(driver.ROOT, "runtimes/node/lib")
    done = subprocess.run(
        [JS.argv[0], "-e", NODE, lib, clones.ADDON],
        env={**os.environ, "LD_PRELOAD": clones.PRELOAD},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said.pop("sockets") == 0
    assert said == {name: True for name in said} and len(said) == 8, said


PYTHON = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from mayfly_runtime import rehearsal
from mayfly_runtime.load import App, Settings
def handler(event, context):
    raise SystemError('the rehearsal ran the real handler')
async def other(event, context):
    raise SystemError
descriptors = set(os.listdir('/proc/self/fd'))
counts = [rehearsal.rehearse(App('event', target, 'x', Settings(concurrency=limit), []))
          for target, limit in ((handler, 1), (handler, 4), (other, 1))]
same = len(set(os.listdir('/proc/self/fd')) - descriptors) <= 1  # the listing itself
print(json.dumps([counts, rehearsal._ROUNDS, same]))
"""


def test_python_rehearses_what_blocks_and_leaves_nothing():
    done = subprocess.run(
        [PY.argv[0], "-c", PYTHON, os.path.join(driver.ROOT, "runtimes/python")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    counts, rounds, same = json.loads(done.stdout)
    assert counts == [rounds, 0, 0] and same


HANDLERS = {
    "node": (
        "index.js",
        "let calls = 0; exports.handler = async (event, context) => [++calls, context.logStreamName, context.awsRequestId];",
    ),
    "python": (
        "app.py",
        "calls = []\ndef handler(event, context):\n    calls.append(1)\n"
        "    return [len(calls), context.log_stream_name, context.aws_request_id]\n",
    ),
}


@pytest.mark.parametrize("language", [JS, PY], ids=["node", "python"])
def test_a_clone_knows_nothing_of_the_rehearsal(language, tmp_path):
    name, source = HANDLERS[language.name]
    with start(language, name, source, tmp_path) as template:
        assert template.ready["cloneable"], template.ready
        for stream in ("2026/01/02/[1]first", "2026/01/02/[1]second"):
            with template.clone({"AWS_LAMBDA_LOG_STREAM_NAME": stream}) as clone:
                assert clone.event({}).result() == [1, stream, "request-1"]
                assert [bytes(text) for text in clone.raw] == [b"", b""]
