"""Functions that draw ids and random numbers from packages, before the clone and after it.

Each uses what is installed of its packages and says which. MAYFLY_TEST_DEBIAN_ROOT is a folder with packages of
Debian unpacked (dpkg-deb -x), instead of installed ones: python3-numpy, python3-random2, ruby-uuidtools, ruby-ffaker,
libmath-random-secure-perl, libmath-prime-util-perl, libdata-entropy-perl, libdbd-sqlite3-perl and what they need.
"""

import glob
import os
import shutil
import subprocess

import pytest

# Each answers {"drawn": {package: values}, "kept": what came from seeds that were given}.
PYTHON = """
import os, random, sqlite3, sys
sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "packages"))
uses, kept = {}, []
memory = sqlite3.connect(":memory:")
ask = lambda: list(memory.execute("select random(), hex(randomblob(16))").fetchone())
ask()
uses["sqlite3"] = ask
try:
    import numpy
    makers = numpy.random.PCG64, numpy.random.MT19937, numpy.random.Philox, numpy.random.SFC64
    made = [numpy.random.Generator(maker()) for maker in makers]
    made += [numpy.random.RandomState(), numpy.random.default_rng(), numpy.random.Generator(numpy.random.PCG64().jumped())]
    sequence = numpy.random.SeedSequence()
    made.append(numpy.random.default_rng(sequence.spawn(1)[0]))
    given = [numpy.random.default_rng(5), numpy.random.RandomState(5), numpy.random.Generator(numpy.random.MT19937(5))]
    [one.random(3) if hasattr(one, "random") else one.rand(3) for one in made]
    draw = lambda one: one.random() if hasattr(one, "random") else one.rand()
    uses["numpy"] = lambda: [draw(one) for one in made] + [numpy.random.default_rng(sequence.spawn(1)[0]).random()]
    kept.append(lambda: [draw(one) for one in given])
except ImportError:
    pass
try:
    import random2
    twos = random2, random2.Random()
    [two.random() for two in twos]
    two_given = random2.Random(5)
    uses["random2"] = lambda: [two.random() for two in twos]
    kept.append(two_given.random)
except ImportError:
    pass
def handler(event, context):
    return {"drawn": {name: [str(value) for value in use()] for name, use in uses.items()}, "kept": str([get() for get in kept])}
"""

RUBY = r"""
$LOAD_PATH.push(*Dir.glob("#{__dir__}/packages"))
USES = {}
ONE = Random.new(Random.new_seed)
TWO = Random.new.dup
THREE = ONE.clone
GIVEN = Random.new(7)
GIVEN_COPY = GIVEN.dup
FOUR = Marshal.load(Marshal.dump(TWO))
FIVE = Marshal.load(Marshal.dump(FOUR.dup))
class Kind < Random
  def rand = super + 1
end
SIX = Marshal.load(Marshal.dump(Kind.new))
OWN = [ONE, TWO, THREE, FOUR, FIVE, SIX]
OWN.each(&:rand)
GIVEN_MARSHALLED = Marshal.load(Marshal.dump(Random.new(8)))
USES['Random.new_seed'] = -> { OWN.map(&:rand) }
def try(name)
  require name
  yield
rescue LoadError
  nil
end
try('ffaker') { FFaker::Guid.guid; USES['ffaker'] = -> { [FFaker::Guid.guid, FFaker::Guid.guid] } }
try('uuidtools') do
  UUIDTools::UUID.timestamp_create
  at = Time.at(2_000_000_000) # as if they were made at the same time
  USES['uuidtools'] = -> { [UUIDTools::UUID.timestamp_create(at).to_s, UUIDTools::UUID.random_create.to_s] }
end
try('sqlite3') do
  memory = SQLite3::Database.new(':memory:')
  memory.execute('select random()')
  USES['sqlite3'] = -> { memory.execute('select random(), hex(randomblob(16))').first }
end
def handler(event:, context:)
  { drawn: USES.transform_values { |use| use.call.map(&:to_s) }, kept: [GIVEN.rand, GIVEN_COPY.rand, GIVEN_MARSHALLED.rand].inspect }
end
"""

PHP = """<?php
$uses = [];
$uses['random'] = fn () => [bin2hex(random_bytes(16)), mt_rand() . '-' . mt_rand(), uniqid('', true), lcg_value()];
$uses['random']();
if (class_exists('SQLite3')) {
    $memory = new SQLite3(':memory:');
    $uses['sqlite3'] = fn () => array_values($memory->querySingle('select random() a, hex(randomblob(16)) b', true));
    $uses['sqlite3']();
}
foreach (['uuid_create', 'sodium_crypto_secretbox_keygen'] as $name) {
    if (function_exists($name)) {
        $uses[$name] = fn () => [bin2hex($name())];
        $uses[$name]();
    }
}
if (class_exists('MongoDB\\\\BSON\\\\ObjectId')) {
    $uses['mongodb'] = fn () => [(string) new MongoDB\\BSON\\ObjectId()];
    $uses['mongodb']();
}
$kept = fn () => '';
if (class_exists('Random\\\\Randomizer')) {
    final class Holder
    {
        public static array $all = [];
    }
    $classes = ['Mt19937', 'PcgOneseq128XslRr64', 'Xoshiro256StarStar'];
    foreach ($classes as $class) {
        $name = "Random\\\\Engine\\\\$class";
        $one = new $name();
        $one->generate();
        Holder::$all[] = $one; // as it is, in a Randomizer, a copy, by a null, one that is constructed again
        Holder::$all[] = new Random\\Randomizer(new $name());
        Holder::$all[] = clone $one;
        Holder::$all[] = new $name(seed: null);
        $again = new $name(9);
        $again->__construct();
        Holder::$all[] = $again;
        $seeded = new $name();
        $seeded->__construct(5);
        $given[] = [new $name(5), clone new $name(6), $seeded, unserialize(serialize(new $name(7)))];
    }
    Holder::$all[] = new Random\\Randomizer();
    $draw = fn ($one) => bin2hex($one instanceof Random\\Randomizer ? $one->getBytes(8) : $one->generate() . $one->generate());
    $uses['engines'] = fn () => array_map($draw, Holder::$all);
    $kept = fn () => implode(' ', array_map($draw, array_merge(...$given)));
}
return function () use ($uses, $kept) {
    return ['drawn' => array_map(fn ($use) => array_map('strval', $use()), $uses), 'kept' => $kept()];
};
"""

PERL = r"""
use lib __FILE__ =~ m{^(.*)/} ? "$1/packages" : 'packages';
my %uses = (rand => sub { rand() . rand() });
$uses{rand}->();
sub try_to_use {
    my ($module, $use) = @_;
    return if !eval "require $module; 1";
    $use->();
    $uses{$module} = $use;
}
try_to_use('Math::Random::Secure', sub { join '-', map { Math::Random::Secure::irand() } 1 .. 4 });
try_to_use('Data::Entropy::Algorithms', sub { unpack 'H*', Data::Entropy::Algorithms::rand_bits(128) });
try_to_use('Math::Prime::Util', sub { Math::Prime::Util::irand64() . '-' . Math::Prime::Util::irand64() });
try_to_use('Data::UUID', sub { Data::UUID->new->create_str });
try_to_use('Bytes::Random::Secure', sub { Bytes::Random::Secure::random_bytes_hex(16) });
try_to_use('Crypt::PRNG', sub { Crypt::PRNG::random_bytes_hex(16) });
my $memory;
try_to_use('DBD::SQLite', sub {
    require DBI;
    $memory //= DBI->connect('dbi:SQLite::memory:', '', '', { RaiseError => 1 });
    join '-', $memory->selectrow_array('select random(), hex(randomblob(16))');
});
sub handler { return { drawn => { map { $_ => [$uses{$_}->()] } keys %uses }, kept => '' } }
1;
"""

# Packages with a SQLite of their own, and Node's.
NODE_SQLITE = r"""
const uses = {}, query = 'select random() a, hex(randomblob(16)) b';
const missing = /^(MODULE_NOT_FOUND|ERR_UNKNOWN_BUILTIN_MODULE|ERR_DLOPEN_FAILED)$/; // the last: built for another Node
const tryTo = (name, make) => {
  try { uses[name] = make(require(name)); } catch (error) { if (!missing.test(error.code)) throw error; }
};
tryTo('better-sqlite3', (Database) => {
  const memory = new Database(':memory:');
  return async () => Object.values(memory.prepare(query).safeIntegers().get());
});
tryTo('sqlite3', ({ Database }) => {
  const memory = new Database(':memory:');
  return () => new Promise((resolve, reject) =>
    memory.get("select hex(randomblob(16)) a, hex(randomblob(16)) b", (error, row) => (error ? reject(error) : resolve(Object.values(row)))));
});
tryTo('node:sqlite', ({ DatabaseSync }) => {
  const memory = new DatabaseSync(':memory:');
  return async () => { const all = memory.prepare(query); all.setReadBigInts(true); return Object.values(all.get()); };
});
const drawn = async () => {
  const all = {};
  for (const name in uses) all[name] = (await uses[name]()).map(String);
  return all;
};
const early = drawn();
mayfly.beforeSnapshot(() => early);
exports.handler = async () => ({ drawn: await drawn(), kept: '' });
"""

# How a package's own SQLite may be linked into it, and whether it can be made anew.
SQLITES = {
    "shown": (["-Wl,-Bsymbolic"], True),
    "hidden": (["-Wl,--exclude-libs,ALL"], True),
    "stripped": (["-Wl,--exclude-libs,ALL", "-s"], False),
}

NODE_ADDON = """
const { draw } = require('./own.node');
draw();
exports.handler = () => ({ drawn: { addon: [...draw(), ...draw()] }, kept: '' });
"""


def build_addon(folder, kind):
    """own.node, a package with a SQLite of its own; returns its path."""
    archives = glob.glob("/usr/lib/*/libsqlite3.a")
    if not archives or shutil.which("cc") is None:
        pytest.skip("needs cc and libsqlite3.a (apt-get install gcc libsqlite3-dev)")
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "sqlite_addon.c")
    path = os.path.join(str(folder), "own.node")
    options, _ = SQLITES[kind]
    subprocess.run(["cc", "-shared", "-fPIC", *options, "-o", path, source, archives[0], "-lm"], check=True)
    return path


SOURCES = {
    "python": ("app.py", PYTHON),
    "ruby": ("app.rb", RUBY),
    "php": ("app.php", PHP),
    "perl": ("app.pl", PERL),
}
# Patterns: machines and versions have names of their own.
_FOLDERS = {
    "python": ("usr/lib/python3/dist-packages",),
    "ruby": ("usr/lib/ruby/vendor_ruby", "usr/share/rubygems-integration/all/gems/ffaker-*/lib"),
    "perl": ("usr/share/perl5", "usr/lib/*-linux-*/perl5/5.*"),
}
_ONLY = {"python": ("numpy", "random2.py"), "ruby": ("uuidtools.rb", "uuidtools", "ffaker", "ffaker.rb")}


def write_function(language, folder):
    """The function in that language with its packages."""
    name, source = SOURCES[language]
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "w") as file:
        file.write(source)
    for part in unpacked(language):
        only = _ONLY.get(language)
        for entry in os.listdir(part):
            if only and entry not in only:
                continue
            path, to = os.path.join(part, entry), os.path.join(folder, "packages", entry)
            if os.path.isdir(path):
                shutil.copytree(path, to, dirs_exist_ok=True, ignore=shutil.ignore_patterns("tests", "*.pod"))
            else:
                os.makedirs(os.path.dirname(to), exist_ok=True)
                shutil.copy(path, to)


def unpacked(language):
    """The folders of the language's packages in MAYFLY_TEST_DEBIAN_ROOT."""
    root = os.environ.get("MAYFLY_TEST_DEBIAN_ROOT")
    patterns = _FOLDERS.get(language, ()) if root else ()
    found = [path for pattern in patterns for path in sorted(glob.glob(os.path.join(root, pattern)))]
    return [path for path in found if os.path.isdir(path)]


def assert_nothing_shared_ever(results):
    """results: answers of instances, some perhaps of the same one. Returns the packages."""
    packages = set(results[0]["drawn"])
    assert packages
    for package in packages:
        drawn = [value for result in results for value in result["drawn"][package]]
        assert drawn and len(drawn) == len(set(drawn)), (package, drawn)
    return packages


def assert_nothing_shared(results):
    """results: the first answers of different clones."""
    assert len({result["kept"] for result in results}) == 1, results
    return assert_nothing_shared_ever(results)
