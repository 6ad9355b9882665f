"""Runs what was registered with snapshot_restore_py, and offers the module where there is none."""

import os
import sys

from .errors import InitError, describe, log_text_of

_NAME = "snapshot_restore_py"


class _Offer:
    """Comes last of all finders: a package's own module goes first."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != _NAME:
            return None
        from importlib.util import spec_from_file_location

        here = os.path.dirname(os.path.abspath(__file__))
        return spec_from_file_location(name, os.path.join(here, _NAME + ".py"))


class _Botocore:
    """Comes first: sees when a function imports botocore, and does nothing until then."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "botocore.session":
            return None
        from .aws_endpoint import find

        return find(name, path, target, _Botocore)


def install():
    sys.meta_path.append(_Offer)
    if "AWS_ENDPOINT_URL" in os.environ:
        sys.meta_path.insert(0, _Botocore)


def _run(function, args, kwargs):
    try:
        function(*args, **kwargs)
    except Exception as error:
        described = describe(error)
        raise InitError(described, log_text_of(error, described)) from None


def run_before():
    """Before the snapshot, in reverse order as on AWS. Raises InitError."""
    module = sys.modules.get(_NAME)
    hooks = module.get_before_snapshot() if module else []
    while hooks:
        _run(*hooks.pop())


def run_after():
    """In each instance before its first invocation. Raises InitError."""
    module = sys.modules.get(_NAME)
    for hook in list(module.get_after_restore()) if module else ():
        _run(*hook)
