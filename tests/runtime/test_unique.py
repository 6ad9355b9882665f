"""Two clones never share random numbers, UUIDs, keys or temporary names."""

import os

import pytest

import clones
import driver
from conftest import JS, PHP, PL, PY, RB

# Clones have the same pid as their template, each in its own namespace: what looks at the pid to
# notice a fork (OpenSSL, tempfile) does not notice this one.
SAME_PID = ["unshare", "--pid", "--fork", "--mount-proc"]

NODE = r"""
const crypto = require('crypto'), vm = require('vm'), fs = require('fs');
const { randomUUID, randomBytes } = crypto;
const random = Math.random;
const context = vm.createContext({});
const hex = (view) => Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString('hex');
const pool = crypto.randomFillSync(new Uint8Array(256));
const secret = crypto.randomBytes(32);
const web = crypto.webcrypto.getRandomValues(new Uint32Array(16));
const words = crypto.randomFillSync(new Uint32Array(64), 8, 16);
const uuid = crypto.randomBytes(16); uuid[6] = 0x4f; uuid[8] = 0x8f;
const reused = crypto.randomBytes(4096); reused.fill(7);
let late; crypto.randomBytes(24, (error, bytes) => { late = bytes; });
randomUUID(); crypto.webcrypto.randomUUID(); crypto.randomInt(1000);
URL.createObjectURL(new Blob(['x']));
for (let i = 0; i < 1000; i++) random();
vm.runInContext('Math.random()', context);
exports.handler = async () => {
  if (!reused.every((byte) => byte === 7) || uuid[6] !== 0x4f || uuid[8] !== 0x8f) throw new Error('spoilt');
  if (words.subarray(0, 8).some((word) => word !== 0)) throw new Error('outside');
  const pair = crypto.generateKeyPairSync('ed25519');
  return {
    pid: process.pid, real: Number(fs.readFileSync('/proc/thread-self/status', 'utf8').match(/NSpid:.*?(\d+)$/m)?.[1] ?? 0),
    random: Array.from({ length: 600 }, random),
    context: vm.runInContext('Array.from({ length: 5 }, () => Math.random())', context),
    newContext: vm.runInNewContext('[Math.random(), Math.random()]'),
    bytes: [hex(pool), hex(secret), hex(web), hex(words.subarray(8, 24)), hex(late), hex(uuid.subarray(0, 6)),
      hex(uuid.subarray(9)), randomBytes(16).toString('hex'), crypto.randomFillSync(Buffer.alloc(16)).toString('hex')],
    uuids: [...Array.from({ length: 200 }, () => randomUUID()), crypto.webcrypto.randomUUID(), URL.createObjectURL(new Blob(['y']))],
    ints: [Array.from({ length: 8 }, () => crypto.randomInt(2 ** 40)).join()],
    keys: [pair.publicKey.export({ type: 'spki', format: 'pem' }), crypto.createECDH('prime256v1').generateKeys('hex')],
    names: [fs.mkdtempSync('/tmp/mayfly-unique-')],
  };
};
"""

PYTHON = r"""
import asyncio, multiprocessing, os, random, secrets, ssl, tempfile, uuid
own = random.Random()
seeded = random.Random(7)
module_random = random.random
[random.random() for _ in range(10)]; own.random(); ssl.RAND_bytes(8); uuid.uuid1(); uuid.uuid4()
os.rmdir(tempfile.mkdtemp())
namer = tempfile._get_candidate_names(); next(namer)
def handler(event, context):
    made = tempfile.mkdtemp()
    os.rmdir(made)
    return {
        "pid": os.getpid(),
        "random": [module_random() for _ in range(100)] + [own.random() for _ in range(100)],
        "seeded": seeded.random(),
        "bytes": [ssl.RAND_bytes(16).hex(), secrets.token_hex(16), os.urandom(16).hex(), random.SystemRandom().random()],
        "uuids": [str(uuid.uuid1()), str(uuid.uuid1()), str(uuid.uuid4())],
        "nodes": [uuid.getnode(), str(uuid.uuid1())[-12:]],
        "keys": [bytes(multiprocessing.current_process().authkey).hex()],
        "names": [made],
    }
"""

RUBY = r"""
require 'openssl'
require 'securerandom'
require 'tmpdir'
OWN = Random.new
SEEDED = Random.new(7)
AGAIN = Random.new(8)
rand; Random.rand; OWN.rand; [1, 2].shuffle; SecureRandom.uuid; Random.uuid; OpenSSL::Random.random_bytes(8); SEEDED.rand
Dir.rmdir(Dir.mktmpdir)
def handler(event:, context:)
  made = Dir.mktmpdir
  Dir.rmdir(made)
  {
    pid: Process.pid,
    random: Array.new(100) { rand } + Array.new(100) { OWN.rand } + [Random.rand, Random.new.rand],
    seeded: [SEEDED.rand, AGAIN.rand].inspect,
    bytes: [OpenSSL::Random.random_bytes(16), Random.bytes(16), OWN.bytes(16), SecureRandom.bytes(16)].map { |b| b.unpack1('H*') },
    uuids: [SecureRandom.uuid, Random.uuid],
    ints: [rand(2**64), OWN.rand(2**64)],
    orders: [(1..40).to_a.shuffle.join(' '), Array.new(12) { ('a'..'z').to_a.sample }.join],
    keys: [OpenSSL::PKey::EC.generate('prime256v1').to_pem],
    names: [made],
  }
end
"""

PHP_SOURCE = r"""<?php
mt_rand(); rand(); lcg_value(); uniqid('', true); random_int(1, 9); openssl_random_pseudo_bytes(8); session_create_id();
$seeded = class_exists('Random\Randomizer') ? new Random\Randomizer(new Random\Engine\Mt19937(7)) : null;
return function () use ($seeded) {
    $made = tempnam('/tmp', 'mayfly-unique-');
    unlink($made);
    $key = openssl_pkey_new(['private_key_type' => OPENSSL_KEYTYPE_EC, 'curve_name' => 'prime256v1']);
    openssl_pkey_export($key, $pem);
    $letters = implode('', range('a', 'z'));
    $entropy = array_map(fn () => substr(uniqid('', true), 13), range(1, 3));
    return [
        'pid' => getmypid(),
        'random' => array_map(fn () => (mt_rand() << 31) + rand(), range(1, 100)),
        'seeded' => $seeded?->getInt(0, 1 << 30),
        'lcg' => array_map(fn () => lcg_value(), range(1, 20)),
        'bytes' => [bin2hex(openssl_random_pseudo_bytes(16)), bin2hex(random_bytes(16)), session_create_id()],
        'ids' => [uniqid('', true), uniqid('', true), uniqid()],
        'entropy' => $entropy,
        'ints' => [random_int(0, PHP_INT_MAX)],
        'orders' => [str_shuffle($letters), implode('', array_rand(array_flip(range(100, 999)), 20))],
        'keys' => [$pem],
        'names' => [$made],
    ];
};
"""

PERL = r"""
use File::Temp qw(tempdir);
use List::Util qw(shuffle);
rand; rmdir tempdir();
sub handler {
    my $made = tempdir(TMPDIR => 1);
    rmdir $made;
    return {
        pid => $$ + 0,
        random => [map { rand } 1 .. 100],
        orders => [join(' ', shuffle 1 .. 40)],
        names => [$made],
    };
}
1;
"""


def flat(value):
    for entry in value if isinstance(value, list) else [value]:
        if isinstance(entry, list):
            yield from flat(entry)
        else:
            yield entry


def start(language, name, source, tmp_path, same_pid=False, **options):
    (tmp_path / name).write_text(source)
    prefix = SAME_PID if same_pid else ()
    extra = {"MAYFLY_STANDIN_PIDNS": "1"} if same_pid else {}
    env = driver.environment(tmp_path, extra=extra)
    template = clones.Template(language.name, language.argv, env, str(tmp_path), prefix=prefix, **options)
    template.wait_ready()
    return template


@pytest.fixture
def form():
    """These tests make their own templates."""


SOURCES = [
    (JS, "index.js", NODE),
    (PY, "app.py", PYTHON),
    (RB, "app.rb", RUBY),
    (PHP, "app.php", PHP_SOURCE),
    (PL, "app.pl", PERL),
]


@pytest.mark.parametrize("same_pid", [False, True], ids=["pids", "same-pid"])
@pytest.mark.parametrize("language, name, source", SOURCES, ids=[case[0].name for case in SOURCES])
def test_clones_share_nothing_random(language, name, source, same_pid, tmp_path):
    if same_pid and os.geteuid() != 0:
        pytest.skip("making pid namespaces takes root")
    language.need()
    results = []
    with start(language, name, source, tmp_path, same_pid) as template:
        assert template.ready["cloneable"], template.ready
        for _ in range(4):
            with template.clone() as clone:
                results.append(clone.event({}).result())
    for result in results:
        for path in result.get("names", ()):
            if os.path.isdir(path):
                os.rmdir(path)
    if same_pid:
        assert {result["pid"] for result in results} == {1}
    else:
        assert len({result["pid"] for result in results}) == len(results)
    assert len({result.get("seeded") for result in results}) == 1  # a seed that was given stays
    for member in set(results[0]) - {"pid", "real", "seeded"}:
        seen = [value for result in results for value in flat(result[member])]
        if member != "nodes":  # each clone has one
            assert len(seen) == len(set(seen)), member
        per_clone = [set(flat(result[member])) for result in results]
        for number, mine in enumerate(per_clone):
            for other in per_clone[number + 1 :]:
                assert not mine & other, member


def test_math_random_is_even(tmp_path):
    source = (
        "exports.handler = () => { const cells = new Array(100).fill(0); let sum = 0;"
        " for (let i = 0; i < 1e6; i++) { const x = Math.random(); if (!(x >= 0 && x < 1)) throw x; cells[Math.floor(x * 100)]++; sum += x; }"
        " return { mean: sum / 1e6, low: Math.min(...cells), high: Math.max(...cells), name: Math.random.name, length: Math.random.length }; };"
    )
    with start(JS, "index.js", source, tmp_path) as template, template.clone() as clone:
        seen = clone.event({}).result()
    # A cell's deviation is 100: these bounds are over six of them.
    assert abs(seen["mean"] - 0.5) < 0.002 and seen["low"] > 9300 and seen["high"] < 10700
    assert (seen["name"], seen["length"]) == ("random", 0)


def test_keys_made_before_the_clone_are_named(tmp_path):
    source = "require('crypto').generateKeyPairSync('ed25519'); exports.handler = () => 1;"
    with start(JS, "index.js", source, tmp_path) as template:
        assert any("crypto.generateKeyPairSync" in note for note in template.ready["notes"])


def test_what_only_looks_like_the_package_uuid_is_left_alone(tmp_path):
    for folder, text in (("uuid", "module.exports = (text) => text;"),
                         ("node_modules/uuid", "Object.defineProperty(exports, 'default', { get: () => () => 1 });"),
                         ("node_modules/uuid/dist", "module.exports = null;")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "v1.js").write_text(text)
    source = (
        "const seen = [require('./uuid/v1.js')('text'), require('uuid/v1').default(), require('uuid/dist/v1.js')];"
        " exports.handler = () => seen;"
    )
    with start(JS, "index.js", source, tmp_path) as template, template.clone() as clone:
        assert clone.event({}).result() == ["text", 1, None]


def test_packages_whose_ids_would_be_the_same_are_named(tmp_path):
    folder = tmp_path / "node_modules" / "hyperid"
    folder.mkdir(parents=True)
    (folder / "index.js").write_text("const own = Math.random().toString(36); exports.make = () => own;")
    source = "const { make } = require('hyperid'); exports.handler = () => make();"
    with start(JS, "index.js", source, tmp_path) as template:
        assert [note for note in template.ready["notes"] if "hyperid" in note and "afterRestore" in note]


def test_numpy(tmp_path):
    modules = os.environ.get("MAYFLY_TEST_PYTHON_MODULES", "")
    source = (
        "import sys\nsys.path.extend(p for p in %r.split(':') if p)\nimport numpy\n"
        "made = numpy.random.default_rng()\nfixed = numpy.random.default_rng(5)\nnumpy.random.random()\nmade.random()\n"
        "def handler(event, context):\n"
        "    return [[float(numpy.random.random()), float(made.random()), float(numpy.random.default_rng().random())], float(fixed.random())]\n"
    ) % modules
    (tmp_path / "app.py").write_text(source)
    libraries = os.environ.get("MAYFLY_TEST_PYTHON_LIBRARIES")
    env = driver.environment(tmp_path, extra={"LD_LIBRARY_PATH": libraries} if libraries else {})
    with clones.Template(PY.name, PY.argv, env, str(tmp_path)) as template:
        template.wait(lambda: template.ready or template.init_error, "ready frame")
        if template.init_error:
            assert "numpy" in template.init_error["errorMessage"]
            pytest.skip("numpy is not installed")
        assert template.ready["cloneable"], template.ready
        results = []
        for _ in range(3):
            with template.clone() as clone:
                results.append(clone.event({}).result())
    drawn = [value for result in results for value in result[0]]
    assert len(set(drawn)) == len(drawn)
    assert len({result[1] for result in results}) == 1
