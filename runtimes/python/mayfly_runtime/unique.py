"""Randomness in a template: what was drawn before the clone must not be the same in every clone.

docs/internals/cloning-runtimes.md says what is reset and why. The module random reseeds itself in
the child of a fork; secrets, uuid4 and os.urandom ask the kernel each time.
"""

import gc
import os
import sys
import weakref

_cloned = False
_unseeded = []  # weak references to generators whose seed the kernel has chosen
_entropies = set()  # what numpy has drawn for those that were given no seed


def _after_random(module):
    """Remembers the instances of random.Random that were not given a seed."""
    seed = module.Random.seed

    def remember_and_seed(self, a=None, *rest, **named):
        seed(self, a, *rest, **named)
        if not _cloned:
            _unseeded[:] = [ref for ref in _unseeded if ref() is not None and ref() is not self]
            if a is None:
                _unseeded.append(weakref.ref(self))

    module.Random.seed = remember_and_seed


def _after_random2(module):
    """A copy of an older random, which nothing seeds in the child of a fork."""
    import _random

    kind, instance = getattr(module, "Random", None), getattr(module, "_inst", None)
    if isinstance(kind, type) and issubclass(kind, _random.Random) and isinstance(instance, kind):
        _after_random(module)
        _unseeded.append(weakref.ref(instance))


def _after_bit_generator(module):
    """Whatever numpy makes without a seed gets its entropy from here."""
    draw = getattr(module, "randbits", None)
    if draw is None:
        return

    def randbits(k):
        drawn = draw(k)
        if not _cloned:
            _entropies.add(drawn)
        return drawn

    module.randbits = randbits


AFTER_IMPORT = {
    "random": _after_random,
    "random2": _after_random2,
    "numpy.random.bit_generator": _after_bit_generator,
}


class Reseeder:
    """Made in the template; reseed() is for the clone."""

    def __init__(self):
        self.polls = list(_openssl())
        self.forgets = list(_sqlite())
        self.sequences, self.bits = _numpys_own(sys.modules.get("numpy.random.bit_generator"))

    def reseed(self):
        """First thing in a clone, before anything of the user's runs."""
        global _cloned
        _cloned = True
        for poll in self.polls:
            poll()
        for forget in self.forgets:
            forget(0, None)
        for ref in _unseeded:
            generator = ref()
            if generator is not None:
                generator.seed()
        _reset_modules(sys.modules.get)
        for found in self.sequences:
            found.__init__(
                None,
                spawn_key=found.spawn_key,
                pool_size=found.pool_size,
                n_children_spawned=found.n_children_spawned,
            )
        for found in self.bits:
            found.state = type(found)().state


def _numpys_own(module):
    """The sequences of seeds and the generators that were given no seed."""
    sequences, bits = [], []
    if module is None or not _entropies:
        return sequences, bits
    chosen = [
        found
        for found in gc.get_objects()
        if type(found) is module.SeedSequence and _is_chosen(found)
    ]
    own = set(map(id, chosen))
    for found in gc.get_objects():
        if issubclass(type(found), module.BitGenerator):
            sequence = getattr(found, "seed_seq", None) or getattr(found, "_seed_seq", None)
            if id(sequence) in own:
                bits.append(found)
    return chosen, bits


def _is_chosen(sequence):
    return isinstance(sequence.entropy, int) and sequence.entropy in _entropies


def _copies(word):
    """The libraries in the process whose file has that word in its name."""
    import ctypes

    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        paths = {line.split(maxsplit=5)[-1].rstrip("\n") for line in maps if word in line}
    for path in sorted(paths):
        try:
            yield ctypes.PyDLL(path)
        except OSError:
            continue  # deleted, or no library


def _sqlite():
    """SQLite draws random() and randomblob() from a state of its own, which it forgets when asked
    for nothing; by itself it does so when it opens a file and sees another pid."""
    for library in _copies("sqlite"):
        forget = getattr(library, "sqlite3_randomness", None)
        if forget is not None:
            forget.restype = None
            yield forget


def _openssl():
    """RAND_poll of each libcrypto in the process. OpenSSL looks at the pid to notice a fork, and a
    clone may have the same pid as its template, each in its own namespace."""
    for library in _copies("libcrypto"):
        poll = getattr(library, "RAND_poll", None)
        if poll is None:
            continue  # not OpenSSL's
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
    process = loaded("multiprocessing.process")
    if process is not None:
        process.current_process().authkey = os.urandom(32)


def _reset_uuid(uuid):
    """uuid1: a node of the clone's own. libuuid keeps its clock sequence where we cannot get at it."""
    uuid._generate_time_safe = None
    uuid._last_timestamp = None
    uuid._node = int.from_bytes(os.urandom(6), "big") | (1 << 40)  # multicast: not a real address
