"""The hooks of AWS Lambda's SnapStart, for packages that do not bring this module themselves.

    from snapshot_restore_py import register_after_restore, register_before_snapshot
"""

_before_snapshot = []
_after_restore = []


def register_before_snapshot(func, *args, **kwargs):
    """Has func(*args, **kwargs) called before the snapshot; the last one registered comes first."""
    _before_snapshot.append((func, args, kwargs))
    return func


def register_after_restore(func, *args, **kwargs):
    """Has func(*args, **kwargs) called in each instance, before its first invocation."""
    _after_restore.append((func, args, kwargs))
    return func


def get_before_snapshot():
    return _before_snapshot


def get_after_restore():
    return _after_restore
