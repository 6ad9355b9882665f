#!/usr/bin/env python3
"""stage_runtimes.py SOURCE TARGET: copies the runtimes to where the build keeps them, and compiles
those in Python.

Sandboxes see the runtimes read-only, so Python cannot keep what it compiles there, and would compile
its runtime anew at each start. The source tree stays as it is: no __pycache__ appears in it.
"""

import filecmp
import os
import py_compile
import shutil
import sys

SCRIPTS = ("python", "node", "ruby", "php", "perl")
LEFT_OUT = {"CMakeLists.txt", "README.md", "native", "__pycache__"}


def wanted(source):
    for folder, folders, names in os.walk(source):
        folders[:] = [name for name in folders if name not in LEFT_OUT]
        for name in names:
            if name not in LEFT_OUT:
                yield os.path.relpath(os.path.join(folder, name), source)


def stage(source, target):
    keep = set()
    for name in wanted(source):
        old, new = os.path.join(source, name), os.path.join(target, name)
        keep.add(new)
        compiled = compiled_name(new)
        fresh = os.path.exists(new) and filecmp.cmp(old, new, shallow=False)
        if not fresh:
            os.makedirs(os.path.dirname(new), exist_ok=True)
            shutil.copy2(old, new)
        if compiled is not None:
            keep.add(compiled)
            if not fresh or not os.path.exists(compiled):
                # Without a check: only this program changes the copy.
                py_compile.compile(
                    new, compiled, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
                )
    remove_others(target, keep)


def compiled_name(path):
    """Only Debian's Python is served by this; another one finds nothing of its version and compiles."""
    if not path.endswith(".py"):
        return None
    folder, name = os.path.split(path)
    tag = sys.implementation.cache_tag
    return os.path.join(folder, "__pycache__", "%s.%s.pyc" % (name[:-3], tag))


def remove_others(target, keep):
    for folder, _, names in os.walk(target, topdown=False):
        for name in names:
            path = os.path.join(folder, name)
            if path not in keep:
                os.unlink(path)
        if not os.listdir(folder):
            os.rmdir(folder)


if __name__ == "__main__":
    for language in SCRIPTS:
        stage(*(os.path.join(os.path.abspath(folder), language) for folder in sys.argv[1:3]))
