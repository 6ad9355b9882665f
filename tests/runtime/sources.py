"""The languages that are cloned, and one function in each of them."""

import subprocess

import pytest

from conftest import JS, PHP, PL, PY, RB


def has_perl_module(name):
    return subprocess.run([PL.program, "-M" + name, "-e1"], capture_output=True).returncode == 0


ALL = [JS, PY, RB, PHP, PL]
LANGUAGES = pytest.mark.parametrize("language", ALL, ids=[language.name for language in ALL])
MAIN_FILES = {"node": "index.js", "python": "app.py", "ruby": "app.rb", "php": "app.php", "perl": "app.pl"}


def main_file(language):
    language.need()
    return MAIN_FILES[language.name]


def source_of(language, *sources):
    """The one for the language, of sources in the order of ALL."""
    return sources[ALL.index(language)]


ONE = (
    "exports.handler = () => 1;",
    "def handler(e, c): return 1\n",
    "def handler(event:, context:) = 1\n",
    "<?php function handler($event) { return 1; }",
    "sub handler { return 1 } 1;",
)
