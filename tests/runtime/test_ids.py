"""What packages of Python, Ruby, PHP and Perl keep from before the clone: tests/support/ids.py has them.
Those of Node are in test_unique.py and test_packages.py."""

import ctypes
import json
import os

import pytest

import clones
import driver
import ids
from conftest import JS, PHP, PL, PY, RB
from test_unique import start

COUNT = 4


@pytest.fixture
def form():
    """These tests make their own templates."""


@pytest.mark.parametrize("zygote", [False, True], ids=["template", "zygote"])
@pytest.mark.parametrize("language", [PY, RB, PHP, PL], ids=lambda language: language.name)
def test_clones_share_nothing_that_packages_draw(language, zygote, tmp_path):
    language.need()
    ids.write_function(language.name, str(tmp_path))
    env = driver.environment(tmp_path)
    with clones.Template(language.name, language.argv, env, str(tmp_path), zygote=zygote) as template:
        template.wait(lambda: template.ready or template.init_error, "ready frame")
        assert template.ready and template.ready["cloneable"], template.ready or template.init_error
        notes = template.ready["notes"]
        results = []
        for _ in range(COUNT):
            with template.clone() as clone:
                results.append(clone.event({}).result())
    assert ["C's rand()" in note for note in notes] == [True] * ("Data::UUID" in results[0]["drawn"]), notes  # it gives it a seed
    print("%s: %s" % (language.name, ", ".join(sorted(ids.assert_nothing_shared(results)))))


def test_unpacked_packages_are_found_whatever_their_version_and_machine(tmp_path, monkeypatch):
    for machine, version in (("x86_64-linux-gnu", "2.20.0"), ("aarch64-linux-gnu", "2.21.0"), ("arm-linux-gnueabihf", "3.1")):
        root = tmp_path / machine
        kept = {"perl": ("usr/lib/%s/perl5/5.38/Some/Module.pm" % machine, "Some/Module.pm"),
                "ruby": ("usr/share/rubygems-integration/all/gems/ffaker-%s/lib/ffaker.rb" % version, "ffaker.rb")}
        for language, (path, name) in kept.items():
            os.makedirs(root / os.path.dirname(path))
            (root / path).write_text(machine)
            monkeypatch.setenv("MAYFLY_TEST_DEBIAN_ROOT", str(root))
            folder = tmp_path / "functions" / machine / language
            ids.write_function(language, str(folder))
            assert (folder / "packages" / name).read_text() == machine


def test_generators_that_only_the_function_can_make_anew_are_named(tmp_path):
    (tmp_path / "Session").mkdir()
    (tmp_path / "Session" / "Token.pm").write_text("package Session::Token; sub new { bless {} } 1;")
    (tmp_path / "Math" / "Random").mkdir(parents=True)
    (tmp_path / "Math" / "Random" / "Secure.pm").write_text("package Math::Random::Secure; our $RNG = 7; 1;")
    source = "use Session::Token; use Math::Random::Secure; sub handler { return $Math::Random::Secure::RNG } 1;"
    with start(PL, "app.pl", source, tmp_path) as template:
        notes = template.ready["notes"]
        assert len(notes) == 1 and "Session::Token" in notes[0] and "Secure" not in notes[0], notes
        with template.clone() as clone:  # a module that only has the name is left alone
            assert clone.event({}).result() == 7


def test_a_generator_of_perl_that_asks_for_threads_is_seeded_in_a_clone(tmp_path):
    """Data::UUID::MT sees the pid and calls this, which fails in every fork once threads::shared is loaded."""
    (tmp_path / "Math" / "Random" / "MT").mkdir(parents=True)
    (tmp_path / "Math" / "Random" / "MT" / "Auto.pm").write_text(
        "package Math::Random::MT::Auto; sub new { bless {} } sub srand { my ($self) = @_;"
        " lock($self) if $threads::shared::threads_shared && threads::shared::_id($self); return 7 } 1;")
    source = "use threads::shared; use Math::Random::MT::Auto; my $one = Math::Random::MT::Auto->new; sub handler { return $one->srand } 1;"
    with start(PL, "app.pl", source, tmp_path) as template, template.clone() as clone:
        call = clone.event({})
        assert call.error is None and call.result() == 7, call.error


def test_modules_that_only_have_the_names_of_packages_are_left_alone(tmp_path):
    (tmp_path / "random2.py").write_text("class Random:\n    seed = 1\n_inst = 3\n")
    (tmp_path / "sqlite.py").write_text("value = 4\n")
    source = "import random2, sqlite\ndef handler(e, c): return [random2.Random.seed, random2._inst, sqlite.value]\n"
    with start(PY, "app.py", source, tmp_path) as template, template.clone() as clone:
        assert clone.event({}).result() == [1, 3, 4]
    source = "module UUIDTools; UUID = 5; end\ndef handler(event:, context:) = UUIDTools::UUID\n"
    with start(RB, "app.rb", source, tmp_path) as template, template.clone() as clone:
        assert clone.event({}).result() == 5


NAMED = [
    ("the version with modules", {"name": "uuid", "version": "13.0.0"}, {"uuid": "^13"}, True),
    ("no manifest of the function", {"name": "uuid", "version": "11.1.0"}, None, True),
    ("an older one", {"name": "uuid", "version": "9.0.1"}, {"uuid": "^9"}, False),
    ("one that another package brought", {"name": "uuid", "version": "13.0.0"}, {"express": "^4"}, False),
    ("another package", {"name": "mine", "version": "13.0.0"}, None, False),
]


@pytest.mark.parametrize("own, dependencies, named", [case[1:] for case in NAMED], ids=[case[0] for case in NAMED])
def test_uuid_that_may_be_imported_as_a_module_is_named(own, dependencies, named, tmp_path):
    folder = tmp_path / "node_modules" / "uuid"
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({**own, "type": "module", "exports": "./index.js"}))
    (folder / "index.js").write_text("export const v1 = () => 1;")
    if dependencies is not None:
        (tmp_path / "package.json").write_text(json.dumps({"dependencies": dependencies}))
    source = "import { v1 } from 'uuid'; export const handler = () => v1();"
    with start(JS, "index.mjs", source, tmp_path) as template:
        found = [note for note in template.ready["notes"] if "uuid %s" % own["version"] in note]
        assert bool(found) == named and len(template.ready["notes"]) == len(found), template.ready["notes"]
        with template.clone() as clone:
            assert clone.event({}).result() == 1


def test_what_numpy_has_drawn_is_not_remembered_without_end(tmp_path):
    pytest.importorskip("numpy")
    source = """
import numpy, sys
early = numpy.random.default_rng()
for _ in range(20000):
    late = numpy.random.default_rng()
some = [numpy.random.RandomState() for _ in range(50)]
drawn = getattr(sys.modules["mayfly_runtime.unique"], "_entropies")
remembered = len(drawn)
def handler(event, context):
    return [[early.random(), late.random()] + [one.rand() for one in some], remembered]
"""
    results = []
    with start(PY, "app.py", source, tmp_path) as template:
        for _ in range(2):
            with template.clone() as clone:
                results.append(clone.event({}).result())
    assert len({value for result in results for value in result[0]}) == 2 * 52
    assert 52 <= results[0][1] <= 4096 + 52


def test_more_engines_of_php_than_are_remembered_are_named(tmp_path):
    PHP.need()
    source = """<?php
for ($i = 0; $i < 4100; $i++) { $all[] = new Random\\Engine\\Xoshiro256StarStar(); }
return fn () => array_map(fn ($one) => bin2hex($one->generate()), $all);
"""
    results = []
    with start(PHP, "app.php", source, tmp_path) as template:
        assert len(template.ready["notes"]) == 1 and " 4 of them" in template.ready["notes"][0], template.ready["notes"]
        for _ in range(2):
            with template.clone() as clone:
                results.append(clone.event({}).result())
    assert len(set(results[0]) & set(results[1])) == 4


@pytest.mark.parametrize("zygote", [False, True], ids=["template", "zygote"])
@pytest.mark.parametrize("kind", ids.SQLITES)
def test_sqlite_inside_of_a_package_for_node(kind, zygote, tmp_path):
    addon = ids.build_addon(tmp_path, kind)
    results = []
    with start(JS, "index.js", ids.NODE_ADDON, tmp_path, zygote=zygote) as template:
        assert template.ready["cloneable"], template.ready
        notes = template.ready["notes"]
        for _ in range(COUNT):
            with template.clone() as clone:
                results.append(clone.event({}).result())
    _, renewed = ids.SQLITES[kind]
    if renewed:
        assert notes == []
        ids.assert_nothing_shared(results)
    else:
        assert len(notes) == 1 and addon in notes[0] and "randomblob()" in notes[0], notes


@pytest.mark.parametrize("zygote", [False, True], ids=["template", "zygote"])
def test_clones_of_node_share_nothing_that_sqlite_draws(zygote, tmp_path):
    """Node's own from version 22 on, and packages that are in MAYFLY_TEST_SQLITE_PACKAGES/node_modules."""
    packages = os.environ.get("MAYFLY_TEST_SQLITE_PACKAGES")
    if packages:
        (tmp_path / "node_modules").symlink_to(os.path.join(os.path.abspath(packages), "node_modules"))
    results = []
    with start(JS, "index.js", ids.NODE_SQLITE, tmp_path, zygote=zygote) as template:
        assert template.ready["cloneable"] and template.ready["notes"] == [], template.ready
        for _ in range(COUNT):
            with template.clone() as clone:
                results.append(clone.event({}).result())
    if not results[0]["drawn"]:
        pytest.skip("neither better-sqlite3 nor sqlite3 in MAYFLY_TEST_SQLITE_PACKAGES, nor a Node with node:sqlite")
    print(", ".join(sorted(ids.assert_nothing_shared(results))))


# What a program does with C's generators before the clone, and the next number in a clone.
C_RANDOM = [
    (PY, "app.py", "import ctypes\nc = ctypes.CDLL(None)\nfor i in range({draws}): c.rand(); c.mrand48()\n{seed}\n"
                   "def handler(event, context): return [c.rand(), c.mrand48()]\n", "c.srand(7)", "c.srand48(7)"),
    (RB, "app.rb", "require 'fiddle'\nR, M, S, S48 = %w[rand mrand48 srand srand48].map {{ |name| Fiddle::Function.new(Fiddle.dlopen(nil)[name],"
                   " name.start_with?('s') ? [Fiddle::TYPE_LONG] : [], Fiddle::TYPE_INT) }}\n"
                   "{draws}.times {{ R.call; M.call }}\n{seed}\ndef handler(event:, context:) = [R.call, M.call]\n", "S.call(7)", "S48.call(7)"),
    (PHP, "app.php", "<?php $c = FFI::cdef('int rand(); int mrand48(); void srand(unsigned); void srand48(long);');"
                     " for ($i = 0; $i < {draws}; $i++) {{ $c->rand(); $c->mrand48(); }} {seed}; return fn () => [$c->rand(), $c->mrand48()];",
     "$c->srand(7)", "$c->srand48(7)"),
]


@pytest.mark.parametrize("language, name, source, seed, seed48", C_RANDOM, ids=[case[0].name for case in C_RANDOM])
def test_seeds_of_c_are_named_and_never_changed(language, name, source, seed, seed48, tmp_path):
    """Without a seed every process draws the same numbers, as the C standard has it; a seed may be meant."""
    language.need()
    c = ctypes.CDLL(None)
    c.srand(7), c.srand48(7)
    seeded = [c.rand(), c.mrand48()]
    c.srand(1)
    unseeded = [c.rand() for _ in range(1001)][-1]
    for given, words in (("", []), (seed, ["C's rand()"]), (seed48, ["C's drand48()"]), (seed + ";" + seed48, ["C's rand()", "C's drand48()"])):
        with start(language, name, source.format(draws=1000, seed=given), tmp_path) as template:
            notes = template.ready["notes"]
            assert len(notes) == len(words) and all(word in note for word, note in zip(words, notes)), notes
            for _ in range(2):
                with template.clone() as clone:
                    drawn = clone.event({}).result()
                assert drawn[0] == (seeded[0] if words[:1] == ["C's rand()"] else unseeded), drawn
                assert words[-1:] != ["C's drand48()"] or drawn[1] == seeded[1], drawn


def test_a_seed_that_a_package_for_node_gives_c_is_named(tmp_path):
    ids.build_addon(tmp_path, "hidden")
    source = "const { seed } = require('./own.node'); seed(); exports.handler = () => 1;"
    with start(JS, "index.js", source, tmp_path) as template:
        assert len(template.ready["notes"]) == 1 and "C's rand()" in template.ready["notes"][0], template.ready["notes"]


WASM_NAMED = [
    ("instantiate", "WebAssembly.instantiate(bytes)", True),
    ("instantiate a module", "WebAssembly.compile(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)).then((module) => WebAssembly.instantiate(module))", True),
    ("constructors", "new WebAssembly.Instance(new WebAssembly.Module(bytes))", True),
    ("no SQLite", "WebAssembly.instantiate(other)", False),
    ("in the handler", "null", False),
]


@pytest.mark.parametrize("make, named", [case[1:] for case in WASM_NAMED], ids=[case[0] for case in WASM_NAMED])
def test_sqlite_in_webassembly_is_named(make, named, tmp_path):
    # A module with SQLite's message as a custom section, which is how a test has it without all the rest.
    source = """
const section = (text) => [0, text.length + 2, 1, 120, ...Buffer.from(text)];
const module_ = (text) => new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, ...section(text)]);
const bytes = module_('unable to delete/modify user-function due to active statements'), other = module_('SQLite format 3');
const made = %s;
mayfly.beforeSnapshot(() => made);
exports.handler = async () => {
  class Own extends WebAssembly.Module {}
  const { module, instance } = await WebAssembly.instantiate(bytes);
  return [module instanceof WebAssembly.Module, instance instanceof WebAssembly.Instance, new Own(bytes) instanceof Own,
    WebAssembly.validate(bytes), WebAssembly.Module.exports(new WebAssembly.Module(bytes)).length, WebAssembly.instantiate.name,
    await WebAssembly.compile(7).catch((error) => error.name)];
};
""" % make
    with start(JS, "index.js", source, tmp_path) as template:
        notes = template.ready["notes"]
        assert [("SQLite in WebAssembly" in note) for note in notes] == [True] * named, notes
        with template.clone() as clone:
            assert clone.event({}).result() == [True, True, True, True, 0, "instantiate", "TypeError"]
