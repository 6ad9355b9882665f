"""Packages that are not what they should be."""

import io
import os
import stat
import tarfile
import zipfile
import zlib

import pytest

from harness import zip_bytes

GOOD = "def handler(event, context):\n    return 1\n"


def zip_of(*entries):
    """entries: (name, data, unix mode or None)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data, mode in entries:
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = (mode or 0o100644) << 16
            archive.writestr(info, data)
    return out.getvalue()


def tar_of(*members, mode="w:gz"):
    """members: (name, type, linkname or data)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, kind, what in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(what)
                archive.addfile(info, io.BytesIO(what))
            else:
                info.linkname = what
                archive.addfile(info)
    return out.getvalue()


REG, SYM, LNK = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
REFUSED = {
    "nothing": (b"", ""),
    "text": (b"just some text, no archive", ""),
    "cut off": (zip_bytes({"main.py": GOOD * 100})[:-30], ""),
    "cut off tar": (tar_of(("main.py", REG, os.urandom(20_000)))[:-5000], ""),
    "dot dot": (zip_of(("../evil.py", GOOD, None)), "../evil.py"),
    "dot dot inside": (zip_of(("a/../../evil.py", GOOD, None)), "evil.py"),
    "absolute": (zip_of(("/etc/evil.py", GOOD, None)), "/etc/evil.py"),
    "dot dot in tar": (tar_of(("../evil.py", REG, b"x")), "../evil.py"),
    "absolute in tar": (tar_of(("/tmp/evil.py", REG, b"x")), "/tmp/evil.py"),
    "link out": (tar_of(("out", SYM, "../../../etc/passwd")), "out"),
    "absolute link": (tar_of(("out", SYM, "/etc/passwd")), "out"),
    "zip link out": (zip_of(("out", "/etc/passwd", stat.S_IFLNK | 0o777)), "out"),
    "hard link out": (tar_of(("out", LNK, "/etc/passwd")), "out"),
    "through a link": (tar_of(("dir", SYM, "/tmp"), ("dir/evil.py", REG, b"x")), "dir"),
    "through a chain": (tar_of(("a", SYM, "."), ("b", SYM, "a/.."), ("b/evil.py", REG, b"x")), ""),
    "device": (tar_of(("null", tarfile.CHRTYPE, "")), "null"),
    "fifo": (tar_of(("pipe", tarfile.FIFOTYPE, "")), "pipe"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(server, case):
    data, phrase = REFUSED[case]
    before = sorted(os.listdir(os.path.join(server.data, "packages")))
    answer = server.put_package(data)
    assert answer.status == 400, answer
    assert answer.error["message"] and phrase in answer.error["message"]
    assert sorted(os.listdir(os.path.join(server.data, "packages"))) == before, "nothing of it stays"
    assert not os.path.exists("/tmp/evil.py")


@pytest.fixture(scope="module")
def small():
    from harness import Server
    own = Server(config="packages:\n  archive_bytes_max: 3000000\n  unpacked_bytes_max: 20000000\n"
                        "  files_max: 100\n").start()
    yield own
    assert own.stop() == 0
    own.close()


def bomb(size):
    """A zip whose one entry unpacks to size zeros."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("zeros", "w") as f:
            for _ in range(size >> 20):
                f.write(bytes(1 << 20))
    return out.getvalue()


def test_zip_bomb(small):
    data = bomb(200 << 20)
    assert len(data) < 300_000
    answer = small.put_package(data).expect(413)
    assert "packages.unpacked_bytes_max" in answer.error["message"] and "zeros" in answer.error["message"]


def test_a_zip_that_lies_about_its_size(small):
    """The directory says one byte; the data is a bomb."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(100)) + packer.flush()
    data = bytearray(zip_of(("lie", b"x", None)))
    import struct
    name = b"lie"
    local = struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, 8, 0, 33, 0, len(packed), 1, len(name), 0) + name
    central = struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\1\2", 0x314, 20, 0, 8, 0, 33, 0, len(packed), 1, len(name),
                          0, 0, 0, 0, 0o100644 << 16, 0) + name
    body = local + packed
    data = body + central + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, len(central), len(body), 0)
    answer = small.put_package(bytes(data))
    assert answer.status in (400, 413), answer


def test_too_many_files(small):
    answer = small.put_package(zip_bytes({f"f{i}": "" for i in range(101)})).expect(413)
    assert "packages.files_max" in answer.error["message"]


def test_archive_over_the_limit(small):
    answer = small.put_package(zip_of(("noise", os.urandom(4_000_000), None))).expect(413)
    assert "packages.archive_bytes_max" in answer.error["message"]


def test_it_still_takes_good_ones(small):
    small.put_package(zip_bytes({"main.py": GOOD})).expect(200, 201)
