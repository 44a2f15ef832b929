"""A web server on this machine that misbehaves on demand, and a Hugging Face Hub on top of it.

with LocalServer() as server:
    server.put("/votes.csv", b"...", faults=[Fault(cut=10)])
    ...server.url + "/votes.csv"...
"""

import base64
import hashlib
import json
import re
import socket
import ssl
import struct
import threading
import time
from collections import defaultdict, deque
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer.

    `status` with `headers` is answered instead of the content; `cut` ends the answer after so many
    bytes of its body, by a reset if `reset`; `stall` waits before the answer.
    """

    status: int | None = None
    headers: dict = field(default_factory=dict)
    cut: int | None = None
    reset: bool = False
    stall: float = 0.0


@dataclass
class File:
    content: bytes
    etag: str | None = None  # None: made from the content; "": none
    ranges: bool = True  # whether parts can be asked for
    length: bool = True  # whether the size is said (else chunked)
    headers: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict


class LocalServer:
    """Files by path, faults by path (one for each request, in order), and what was asked."""

    def __init__(self, certificate=None):
        self.files = {}
        self.connections = set()
        self.faults = defaultdict(deque)
        self.asked = []
        server = self

        class Handler(_Handler):
            owner = server

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        for connection in list(self.connections):  # else those kept alive would go on
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._http.server_close()
        self._thread.join()

    @property
    def url(self):
        return f"{self._scheme}://127.0.0.1:{self._http.server_port}"

    @property
    def elsewhere(self):
        """The same server under another name, as a redirect to another host sees it."""
        return f"{self._scheme}://localhost:{self._http.server_port}"

    def put(self, path, content, *, faults=(), **how):
        self.files[path] = File(content, **how)
        self.faults[path].extend(faults)
        return self.url + path

    def redirect(self, path, to):
        self.faults[path].extend([Fault(302, {"location": to})] * 50)
        return self.url + path

    def ranges(self, path):
        """The Range headers of the requests for a path, None where there was none."""
        return [one.headers.get("range") for one in self.asked if one.path == path]

    def answer(self, handler, method, path, body):
        """Answer what is no plain file; tell whether it was answered."""
        return False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner = None

    def log_message(self, *_):
        pass

    def setup(self):
        super().setup()
        self.owner.connections.add(self.connection)

    def finish(self):
        self.owner.connections.discard(self.connection)
        with suppress(OSError):
            super().finish()

    def handle_one_request(self):
        with suppress(ConnectionError):
            super().handle_one_request()

    def _any(self):
        path = unquote(urlsplit(self.path).path)
        headers = {key.lower(): value for key, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        if headers.get("transfer-encoding") == "chunked":
            body = self._chunked_body()
        self.owner.asked.append(Asked(self.command, path, headers))
        waiting = self.owner.faults[path]
        self.fault = waiting.popleft() if waiting else Fault()
        time.sleep(self.fault.stall)
        if self.fault.status is not None:
            self.reply(self.fault.status, b"", self.fault.headers)
        elif path in self.owner.files:
            self.send_file(self.owner.files[path])
        elif not self.owner.answer(self, self.command, path, body):
            self.reply(404, b"not here")

    do_GET = do_HEAD = do_POST = do_PUT = _any

    def _chunked_body(self):
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def reply(self, status, body=b"", headers=None):
        self.send_response(status)
        for key, value in ({"content-length": str(len(body))} | (headers or {})).items():
            self.send_header(key, value)
        self.end_headers()
        self._body(body)

    def reply_json(self, content, status=200, headers=None):
        body = json.dumps(content).encode()
        self.reply(status, body, {"content-type": "application/json", **(headers or {})})

    def send_file(self, file):
        etag = f'"{hashlib.md5(file.content).hexdigest()}"' if file.etag is None else file.etag
        start = self._start(file, etag)
        if start is not None and start >= len(file.content):
            self.reply(416, b"", {"content-range": f"bytes */{len(file.content)}"})
            return
        self.send_response(200 if start is None else 206)
        if start is not None:
            size = len(file.content)
            self.send_header("content-range", f"bytes {start}-{size - 1}/{size}")
        if etag:
            self.send_header("etag", etag)
        for key, value in file.headers.items():
            self.send_header(key, value)
        body = file.content[start or 0 :]
        if file.length:
            self.send_header("content-length", str(len(body)))
        else:
            self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self._body(body, chunked=not file.length)

    def _start(self, file, etag):
        """First byte asked for, None for all of them."""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        condition = self.headers.get("if-range")
        known = (etag, file.headers.get("last-modified"))
        if not file.ranges or asked is None or (condition is not None and condition not in known):
            return None
        return int(asked[1])

    def _body(self, body, chunked=False):
        if self.command == "HEAD":
            return
        cut = self.fault.cut
        sent = body if cut is None else body[:cut]
        if chunked:
            sent = f"{len(sent):x}\r\n".encode() + sent + b"\r\n" if sent else b""
            sent += b"0\r\n\r\n" if cut is None else b""
        self.wfile.write(sent)
        if cut is not None:
            self.wfile.flush()
            if self.fault.reset:
                time.sleep(0.05)  # lets what was sent arrive first
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True


@dataclass
class Repo:
    """A data set: its commits in order, each the files by path."""

    private: bool = False
    gated: bool = False
    commits: list = field(default_factory=lambda: [{}])

    @property
    def ids(self):
        return [
            hashlib.sha1(f"{n}{sorted(files)}".encode()).hexdigest()
            for n, files in enumerate(self.commits)
        ]

    def find(self, revision):
        if revision == "main":
            return len(self.commits) - 1
        return self.ids.index(revision) if revision in self.ids else None


class LocalHub(LocalServer):
    """The part of the Hub's protocol that downloads and uploads of data sets use.

    `tokens` says what each token may do: "read" or "write". Parquet files are large files (LFS);
    they are sent by a redirect to `cdn`, as the Hub does.
    """

    def __init__(self):
        super().__init__()
        self.repos = {}
        self.tokens = {"hf_reader": "read", "hf_writer": "write"}
        self.objects = {}
        self.cards = []
        self.cdn = None

    def add(self, repo_id, folder=None, files=None, **how):
        """Make a data set of the files of a folder, or of bytes by path."""
        if folder is not None:
            found = sorted(path for path in folder.rglob("*") if path.is_file())
            files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
        self.repos[repo_id] = Repo(commits=[dict(files)], **how)
        return self.repos[repo_id]

    def answer(self, handler, method, path, body):
        for pattern, call in self._routes():
            if match := re.fullmatch(pattern, path):
                call(handler, body, *match.groups())
                return True
        return False

    def _routes(self):
        repo = r"([^/]+/[^/]+)"
        return [
            (r"/api/repos/create", self._create),
            (r"/api/validate-yaml", self._validate),
            (rf"/api/datasets/{repo}/preupload/([^/]+)", self._preupload),
            (rf"/api/datasets/{repo}/commit/([^/]+)", self._commit),
            (rf"/api/datasets/{repo}/tree/([^/]+)", self._tree),
            (rf"/api/datasets/{repo}(?:/revision/(.+))?", self._info),
            (rf"/datasets/{repo}\.git/info/lfs/objects/batch", self._batch),
            (rf"/datasets/{repo}/resolve/([^/]+)/(.+)", self._resolve),
            (r"/upload/(\w+)", self._upload),
            (r"/large/(\w+)", self._large),
        ]

    # Reading

    def _may(self, handler):
        token = handler.headers.get("authorization", "").removeprefix("Bearer ")
        return self.tokens.get(token), token

    def _visible(self, handler, repo_id):
        """Give a data set that who asks may see, or answer that there is none."""
        may, token = self._may(handler)
        if token and may is None:
            error = "Invalid credentials in Authorization header"
            handler.reply_json({"error": error}, 401, {"x-error-message": error})
            return None
        repo = self.repos.get(repo_id)
        if repo is None or (repo.private and may is None):
            status = 404 if may else 401
            handler.reply_json({"error": "not found"}, status, {"x-error-code": "RepoNotFound"})
            return None
        return repo

    def _at(self, handler, repo, revision):
        commit = repo.find(revision or "main")
        if commit is None:
            handler.reply_json({}, 404, {"x-error-code": "RevisionNotFound"})
        return commit

    def _info(self, handler, body, repo_id, revision):
        repo = self._visible(handler, repo_id)
        commit = None if repo is None else self._at(handler, repo, revision)
        if commit is None:
            return
        files = repo.commits[commit]
        card = files.get("README.md", b"").decode()
        licence = re.search(r"^license: (.+)$", card, re.MULTILINE)
        handler.reply_json(
            {
                "id": repo_id, "sha": repo.ids[commit], "private": repo.private,
                "gated": "auto" if repo.gated else False,
                "cardData": {"license": licence[1]} if licence else {},
                "siblings": [_sibling(path, files[path]) for path in sorted(files)],
            }
        )  # fmt: skip

    def _tree(self, handler, body, repo_id, revision):
        repo = self._visible(handler, repo_id)
        commit = None if repo is None else self._at(handler, repo, revision)
        if commit is not None:
            files = repo.commits[commit]
            handler.reply_json([_entry(path, files[path]) for path in sorted(files)])

    def _resolve(self, handler, body, repo_id, revision, path):
        repo = self._visible(handler, repo_id)
        if repo is None:
            return
        if repo.gated and self._may(handler)[0] is None:
            handler.reply_json({}, 401, {"x-error-code": "GatedRepo"})
            return
        commit = self._at(handler, repo, revision)
        if commit is None:
            return
        content = repo.commits[commit].get(path)
        about = {"x-repo-commit": repo.ids[commit]}
        if content is None:
            handler.reply_json({}, 404, {"x-error-code": "EntryNotFound", **about})
        elif _is_large(path):
            sha = hashlib.sha256(content).hexdigest()
            self.objects[sha] = content
            about |= {"x-linked-size": str(len(content)), "x-linked-etag": f'"{sha}"'}
            handler.reply(302, b"", {"location": f"{self.cdn or self.url}/large/{sha}", **about})
        else:
            handler.send_file(File(content, f'"{_git_id(content)}"', headers=about))

    def _large(self, handler, body, sha):
        handler.send_file(File(self.objects[sha], f'"{sha}"'))

    # Writing

    def _writable(self, handler, repo_id):
        repo = self._visible(handler, repo_id)
        if repo is not None and self._may(handler)[0] != "write":
            handler.reply_json({"error": "no write access"}, 403)
            return None
        return repo

    def _create(self, handler, body):
        asked = json.loads(body)
        repo_id = f"{asked['organization']}/{asked['name']}"
        may, _ = self._may(handler)
        if may != "write":
            handler.reply_json({"error": "no write access"}, 403 if may else 401)
        elif repo_id in self.repos:
            handler.reply_json({"url": f"{self.url}/datasets/{repo_id}"}, 409)
        else:
            self.repos[repo_id] = Repo(private=asked.get("visibility") == "private")
            handler.reply_json({"url": f"{self.url}/datasets/{repo_id}"})

    def _validate(self, handler, body):
        self.cards.append(json.loads(body)["content"])
        bad = not self.cards[-1].startswith("---\n")
        errors = [{"message": "the card has no metadata"}] if bad else []
        handler.reply_json({"errors": errors, "warnings": []}, 400 if bad else 200)

    def _preupload(self, handler, body, repo_id, revision):
        if (repo := self._writable(handler, repo_id)) is None:
            return
        files = repo.commits[-1]
        answers = [
            {
                "path": one["path"], "shouldIgnore": False,
                "uploadMode": "lfs" if _is_large(one["path"]) else "regular",
                "oid": _git_id(files[one["path"]]) if one["path"] in files else None,
            }
            for one in json.loads(body)["files"]
        ]  # fmt: skip
        handler.reply_json({"files": answers})

    def _batch(self, handler, body, repo_id):
        if self._writable(handler, repo_id) is None:
            return
        objects = []
        for one in json.loads(body)["objects"]:
            actions = {"upload": {"href": f"{self.url}/upload/{one['oid']}"}}
            objects.append(one if one["oid"] in self.objects else one | {"actions": actions})
        handler.reply_json({"transfer": "basic", "objects": objects})

    def _upload(self, handler, body, sha):
        if hashlib.sha256(body).hexdigest() != sha:
            handler.reply(400)
            return
        self.objects[sha] = body
        handler.reply(200)

    def _commit(self, handler, body, repo_id, revision):
        if (repo := self._writable(handler, repo_id)) is None:
            return
        files = dict(repo.commits[-1])
        for line in body.splitlines():
            step = json.loads(line)
            value = step["value"]
            if step["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif step["key"] == "lfsFile":
                files[value["path"]] = self.objects[value["oid"]]
            elif step["key"] == "deletedFile":
                del files[value["path"]]
        repo.commits.append(files)
        page = f"{self.url}/datasets/{repo_id}/commit/{repo.ids[-1]}"
        handler.reply_json({"commitUrl": page, "commitOid": repo.ids[-1], "success": True})


def _is_large(path):
    return path.endswith(".parquet")


def _git_id(content):
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def _large_info(content):
    sha = hashlib.sha256(content).hexdigest()
    return {"oid": sha, "sha256": sha, "size": len(content), "pointerSize": 134}


def _sibling(path, content):
    about = {"rfilename": path, "size": len(content), "blobId": _git_id(content)}
    return about | ({"lfs": _large_info(content)} if _is_large(path) else {})


def _entry(path, content):
    about = {"type": "file", "path": path, "size": len(content), "oid": _git_id(content)}
    return about | ({"lfs": _large_info(content)} if _is_large(path) else {})
