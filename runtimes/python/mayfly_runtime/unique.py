"""Randomness in a template: what was drawn before the clone must not be the same in every clone.

docs/internals/cloning-runtimes.md says what is reset and why. The module random reseeds itself in
the child of a fork; secrets, uuid4 and os.urandom ask the kernel each time.
"""

import os
import sys
import weakref

_cloned = False
_unseeded = []  # weak references to generators whose seed the kernel has chosen
_generators = []  # numpy's


def _after_random(module):
    """Remembers the instances of random.Random that were not given a seed."""
    seed = module.Random.seed

    def remember_and_seed(self, a=None, version=2):
        seed(self, a, version)
        if not _cloned:
            _unseeded[:] = [ref for ref in _unseeded if ref() is not None and ref() is not self]
            if a is None:
                _unseeded.append(weakref.ref(self))

    module.Random.seed = remember_and_seed


def _after_numpy(module):
    make = getattr(module, "default_rng", None)
    if make is None:
        return

    def default_rng(seed=None):
        made = make(seed)
        if seed is None and not _cloned:
            _generators.append(made)
        return made

    default_rng.__doc__ = make.__doc__
    module.default_rng = default_rng


AFTER_IMPORT = {"random": _after_random, "numpy.random": _after_numpy}


class Reseeder:
    """Made in the template; reseed() is for the clone."""

    def __init__(self):
        self.polls = list(_openssl())

    def reseed(self):
        """First thing in a clone, before anything of the user's runs."""
        global _cloned
        _cloned = True
        for poll in self.polls:
            poll()
        for ref in _unseeded:
            generator = ref()
            if generator is not None:
                generator.seed()
        _reset_modules(sys.modules.get)


def _openssl():
    """RAND_poll of each libcrypto in the process. OpenSSL looks at the pid to notice a fork, and a
    clone may have the same pid as its template, each in its own namespace."""
    import ctypes

    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        paths = {line.split(maxsplit=5)[-1].rstrip("\n") for line in maps if "libcrypto" in line}
    for path in sorted(paths):
        try:
            poll = ctypes.PyDLL(path).RAND_poll
        except (OSError, AttributeError):
            continue  # deleted, or not OpenSSL's
        poll()  # what it sets up at its first use is set up here
        yield poll


def _reset_modules(loaded):
    tempfile = loaded("tempfile")
    if tempfile is not None:
        tempfile._name_sequence = None  # it, too, looks at the pid
    uuid = loaded("uuid")
    if uuid is not None:
        _reset_uuid(uuid)
    numpy_random = loaded("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
        for generator in _generators:
            bits = generator.bit_generator
            bits.state = type(bits)().state
    process = loaded("multiprocessing.process")
    if process is not None:
        process.current_process().authkey = os.urandom(32)


def _reset_uuid(uuid):
    """uuid1: a node of the clone's own. libuuid keeps its clock sequence where we cannot get at it."""
    uuid._generate_time_safe = None
    uuid._last_timestamp = None
    uuid._node = int.from_bytes(os.urandom(6), "big") | (1 << 40)  # multicast: not a real address
