"""Functions that draw ids and random numbers from packages, before the clone and after it.

Each uses what is installed of its packages and says which. MAYFLY_TEST_DEBIAN_ROOT is a folder with packages of
Debian unpacked (dpkg-deb -x), instead of installed ones: python3-numpy, python3-random2, ruby-uuidtools, ruby-ffaker,
libmath-random-secure-perl, libmath-prime-util-perl, libdata-entropy-perl, libdbd-sqlite3-perl and what they need.
"""

import os
import shutil

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
[ONE, TWO, THREE].each(&:rand)
USES['Random.new_seed'] = -> { [ONE.rand, TWO.rand, THREE.rand] }
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
  { drawn: USES.transform_values { |use| use.call.map(&:to_s) }, kept: [GIVEN.rand, GIVEN_COPY.rand].inspect }
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
return function () use ($uses) {
    return ['drawn' => array_map(fn ($use) => array_map('strval', $use()), $uses), 'kept' => ''];
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

SOURCES = {
    "python": ("app.py", PYTHON),
    "ruby": ("app.rb", RUBY),
    "php": ("app.php", PHP),
    "perl": ("app.pl", PERL),
}
_MULTIARCH = "usr/lib/x86_64-linux-gnu"
_FOLDERS = {
    "python": ("usr/lib/python3/dist-packages",),
    "ruby": ("usr/lib/ruby/vendor_ruby", "usr/share/rubygems-integration/all/gems/ffaker-2.20.0/lib"),
    "perl": ("usr/share/perl5", _MULTIARCH + "/perl5/5.36"),
}
_ONLY = {"python": ("numpy", "random2.py"), "ruby": ("uuidtools.rb", "uuidtools", "ffaker", "ffaker.rb")}


def write_function(language, folder):
    """The function in that language with its packages."""
    name, source = SOURCES[language]
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "w") as file:
        file.write(source)
    root = os.environ.get("MAYFLY_TEST_DEBIAN_ROOT")
    for part in _FOLDERS.get(language, ()) if root else ():
        only = _ONLY.get(language)
        for entry in os.listdir(os.path.join(root, part)) if os.path.isdir(os.path.join(root, part)) else ():
            if only and entry not in only:
                continue
            path, to = os.path.join(root, part, entry), os.path.join(folder, "packages", entry)
            if os.path.isdir(path):
                shutil.copytree(path, to, dirs_exist_ok=True, ignore=shutil.ignore_patterns("tests", "*.pod"))
            else:
                os.makedirs(os.path.dirname(to), exist_ok=True)
                shutil.copy(path, to)


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
