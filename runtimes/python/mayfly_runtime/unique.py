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
_entropies = {}  # what numpy has drawn for those that were given no seed, as keys
_ENTROPIES = 4096  # more are looked through for those that are in use
_LATEST = 64  # of which nobody may know yet
_look_at = _ENTROPIES


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
            if len(_entropies) >= _look_at:
                _forget_entropies(module)
            _entropies[drawn] = True
        return drawn

    module.randbits = randbits


def _forget_entropies(module):
    """Those of generators that are gone."""
    global _look_at
    used = {
        found.entropy
        for found in gc.get_objects()
        if type(found) is module.SeedSequence and _is_chosen(found)
    }
    used.update(list(_entropies)[-_LATEST:])
    _entropies.clear()
    _entropies.update(dict.fromkeys(used, True))
    _look_at = max(_ENTROPIES, 2 * len(_entropies))


AFTER_IMPORT = {
    "random": _after_random,
    "random2": _after_random2,
    "numpy.random.bit_generator": _after_bit_generator,
}


class Reseeder:
    """Made in the template; reseed() is for the clone."""

    def __init__(self, renew_libraries):
        self.renew_libraries = renew_libraries  # OpenSSL, SQLite
        self.sequences, self.bits = _numpys_own(sys.modules.get("numpy.random.bit_generator"))

    def reseed(self):
        """First thing in a clone, before anything of the user's runs."""
        global _cloned
        _cloned = True
        self.renew_libraries()
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
