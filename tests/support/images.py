"""Images made by tests: archives as docker save writes them, and OCI layouts, of files in memory."""

import functools
import gzip
import hashlib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile

from harness import FUNCTIONS

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


class Link(str):
    """A file that is a symbolic link to this."""


class HardLink(str):
    """A second name of a file."""


class Device:
    """A character device."""


def tar(files):
    """A tar archive. files: {name: text, bytes, Link, HardLink or Device}; all can be executed."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.mode = 0o755
            if isinstance(content, Link):
                entry.type, entry.linkname = tarfile.SYMTYPE, str(content)
            elif isinstance(content, HardLink):
                entry.type, entry.linkname = tarfile.LNKTYPE, str(content)
            elif isinstance(content, Device):
                entry.type, entry.devmajor, entry.devminor = tarfile.CHRTYPE, 1, 5
            else:
                data = content.encode() if isinstance(content, str) else content
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
                continue
            archive.addfile(entry)
    return out.getvalue()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def config(layers, entrypoint=(), command=(), env=None, workdir="", architecture=ARCHITECTURE):
    return json.dumps({
        "os": "linux", "architecture": architecture,
        "config": {"Entrypoint": list(entrypoint) or None, "Cmd": list(command) or None, "WorkingDir": workdir,
                   "Env": [f"{name}={value}" for name, value in (env or {}).items()]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha256(layer) for layer in layers]}}).encode()


def docker_archive(layers, tag=None, **settings):
    """layers: dicts of files, lowest first."""
    layers = [tar(files) for files in layers]
    text = config(layers, **settings)
    files = {f"{number}/layer.tar": layer for number, layer in enumerate(layers)}
    manifest = [{"Config": sha256(text) + ".json", "RepoTags": [tag] if tag else None, "Layers": list(files)}]
    return tar({**files, sha256(text) + ".json": text, "manifest.json": json.dumps(manifest)})


def oci_layout(layers, tag=None, **settings):
    """({name: bytes}, the digest of the manifest); layers by gzip, as registries have them."""
    layers = [tar(files) for files in layers]
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}

    def blob(data, kind, **more):
        files["blobs/sha256/" + sha256(data)] = data
        return {"mediaType": "application/vnd.oci.image." + kind, "digest": "sha256:" + sha256(data), "size": len(data),
                **more}
    manifest = {"schemaVersion": 2, "config": blob(config(layers, **settings), "config.v1+json"),
                "layers": [blob(gzip.compress(layer, 1), "layer.v1.tar+gzip") for layer in layers]}
    reference = blob(json.dumps(manifest).encode(), "manifest.v1+json")
    if tag:
        reference["annotations"] = {"org.opencontainers.image.ref.name": tag}
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [reference]}).encode()
    return files, reference["digest"]


def write_folder(folder, files):
    for name, data in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
    return str(folder)


def read(path):
    with open(path, "rb") as file:
        return file.read()


@functools.lru_cache
def program():
    """The bytes of functions/image_program.c; None when it cannot be compiled here."""
    if not shutil.which("gcc"):
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "program")
        source = os.path.join(FUNCTIONS, "image_program.c")
        if subprocess.run(["gcc", "-O1", "-static", "-w", source, "-o", path], capture_output=True).returncode != 0:
            return None
        return read(path)


def with_libraries(path):
    """A program of this machine and the libraries that it is linked with: {name: bytes}, by their own paths."""
    done = subprocess.run(["ldd", path], capture_output=True, text=True)
    needed = re.findall(r"(/\S+) \(0x", done.stdout)
    return {name.lstrip("/"): read(name) for name in [path, *needed]}


def folder_files(folder, leave=()):
    """All plain files below a folder, by their own paths."""
    found = {}
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in leave]
        for name in names:
            path = os.path.join(root, name)
            if os.path.isfile(path):
                found[path.lstrip("/")] = read(path)
    return found
