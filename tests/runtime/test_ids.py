"""What packages of Python, Ruby, PHP and Perl keep from before the clone: tests/support/ids.py has them.
Those of Node are in test_unique.py and test_packages.py."""

import json

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
        assert template.ready["notes"] == []
        results = []
        for _ in range(COUNT):
            with template.clone() as clone:
                results.append(clone.event({}).result())
    print("%s: %s" % (language.name, ", ".join(sorted(ids.assert_nothing_shared(results)))))


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
