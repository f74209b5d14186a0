"""A small Hugging Face Hub on the loopback interface, for the real huggingface_hub client.

It keeps its repositories in memory and answers as the Hub does: commits with parents, tags, Git blob ids, LFS objects that
are served by another host, X-Error-Code. Weights and pictures are LFS files, as the Hub's own .gitattributes has it.
"""

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

WRITE_TOKEN, READ_TOKEN = "hf_loopback_write", "hf_loopback_read"
LFS_SUFFIXES = (".keras", ".tflite", ".h5", ".png")


@dataclass
class Commit:
    id: str
    parent: str | None
    files: dict[str, bytes]
    message: str


@dataclass
class Repository:
    commits: list[Commit] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)  # of a Space
    private: bool = False

    @property
    def head(self) -> Commit:
        return self.commits[-1]

    def commit(self, files: dict[str, bytes], message: str) -> Commit:
        parent = self.commits[-1].id if self.commits else None
        tree = sorted((path, blob_id(content)) for path, content in files.items())
        identity = json.dumps([parent, tree, message, len(self.commits)]).encode()
        self.commits.append(Commit(hashlib.sha1(identity, usedforsecurity=False).hexdigest(), parent, files, message))
        return self.head

    def find(self, revision: str) -> Commit | None:
        wanted = self.head.id if revision == "main" else self.tags.get(revision, revision)
        return next((commit for commit in self.commits if commit.id == wanted), None)


class LoopbackHub:
    """The server and, for tests, its state and the faults that it should have.

    Attributes:
        requests: (method, path) of all requests, in order.
        before: Called with each request before it is answered; returns True when it has answered in its own way.
        alter: Called with the path and the content of a file that is sent, returns what is sent in its place.
    """

    def __init__(self) -> None:
        self.port = 0
        self.reset()
        self.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def reset(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.before: Callable[[Handler], bool] = lambda request: False
        self.alter: Callable[[str, bytes], bytes] = lambda path, content: content

    def start(self) -> None:
        handler = type("BoundHandler", (Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.running = True

    def stop(self) -> None:
        """Further connections are refused."""
        self._server.shutdown()
        self._thread.join()
        self._server.socket.close()
        self.running = False


def blob_id(content: bytes) -> str:
    """As `git hash-object`."""
    return hashlib.sha1(b"blob %d\0%s" % (len(content), content), usedforsecurity=False).hexdigest()


def is_lfs(path: str) -> bool:
    return path.endswith(LFS_SUFFIXES)


def lfs_id(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def lfs_pointer(content: bytes) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{lfs_id(content)}\nsize {len(content)}\n".encode()


NAME = r"((?:datasets/|spaces/)?[^/]+/[^/]+)"  # models have no prefix
API = rf"/api/(?:models/)?{NAME}"


class Handler(BaseHTTPRequestHandler):
    hub: LoopbackHub

    ROUTES: tuple[tuple[str, str, str], ...] = (
        ("POST", r"/api/repos/create", "create"),
        ("POST", r"/api/validate-yaml", "validate"),
        ("GET", API, "info"),
        ("GET", rf"{API}/revision/([^/]+)", "info"),
        ("GET", rf"{API}/refs", "refs"),
        ("GET", rf"{API}/tree/([^/]+)", "tree"),
        ("POST", rf"{API}/preupload/([^/]+)", "preupload"),
        ("POST", rf"{API}/commit/([^/]+)", "commit"),
        ("POST", rf"{API}/tag/([^/]+)", "tag"),
        ("POST", rf"{API}/super-squash/([^/]+)", "squash"),
        ("POST", rf"{API}/variables", "set_variable"),
        ("DELETE", rf"{API}/variables", "delete_variable"),
        ("POST", rf"/{NAME}\.git/info/lfs/objects/batch", "batch"),
        ("PUT", r"/lfs/([0-9a-f]{64})", "upload"),
        ("GET", r"/cdn/([0-9a-f]{64})/(.+)", "cdn"),
        ("GET", rf"/{NAME}/resolve/([^/]+)/(.+)", "resolve"),
    )

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        pass

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.hub.requests.append((self.command, path))
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.hub.before(self):
            return None
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token not in ("", READ_TOKEN, WRITE_TOKEN):
            return self.fail(401, "", "Invalid credentials in Authorization header")
        self.token = token
        for method, pattern, name in self.ROUTES:
            if method == self.command.replace("HEAD", "GET") and (match := re.fullmatch(pattern, path)):
                return getattr(self, f"answer_{name}")(*map(unquote, match.groups()))  # type: ignore[no-any-return]
        return self.fail(404, "", f"No route for {self.command} {path}")

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - the names are the base class's

    def send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def json(self, content: Any, status: int = 200) -> None:
        self.send(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def fail(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        codes = {"X-Error-Code": code} if code else {}
        content = json.dumps({"error": message}).encode()
        self.send(status, content, {"Content-Type": "application/json", "X-Error-Message": message, **codes, **(headers or {})})

    def may_write(self) -> bool:
        if self.token == WRITE_TOKEN:
            return True
        if self.token:
            self.fail(403, "", "Forbidden: you must use a write token to upload to a repository.")
        else:
            self.fail(401, "", "Invalid username or password.")
        return False

    def repository(self, name: str) -> Repository | None:
        """Without a token the Hub does not tell a private repository from none."""
        repository = self.hub.repositories.get(name)
        if repository is None and self.token:
            self.fail(404, "RepoNotFound", "Repository not found")
        elif repository is None:
            self.fail(401, "RepoNotFound", "Invalid username or password.")
        return repository

    def find(self, name: str, revision: str) -> tuple[Repository, Commit] | None:
        repository = self.repository(name)
        commit = repository and repository.find(revision)
        if repository and not commit:
            self.fail(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return (repository, commit) if repository and commit else None

    def answer_create(self) -> None:
        request = json.loads(self.body)
        kind = request.get("type", "model")
        name = f"{'' if kind == 'model' else f'{kind}s/'}{request['organization']}/{request['name']}"
        if not self.may_write():
            return
        if name in self.hub.repositories:
            self.json({"error": f"You already created this {kind} repo", "url": f"{self.hub.endpoint}/{name}"}, 409)
            return
        self.hub.repositories[name] = repository = Repository()
        repository.private = bool(request.get("private")) or request.get("visibility") == "private"
        attributes = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES)
        repository.commit({".gitattributes": attributes.encode()}, "initial commit")
        self.json({"url": f"{self.hub.endpoint}/{name}", "name": name})

    def answer_validate(self) -> None:
        content = json.loads(self.body)["content"]
        errors = [] if content.startswith("---\n") else [{"message": "The card has no metadata"}]
        self.json({"errors": errors, "warnings": []}, 400 if errors else 200)

    def answer_info(self, name: str, revision: str = "main") -> None:
        if found := self.find(name, revision):
            repository, commit = found
            siblings = [{"rfilename": path} for path in sorted(commit.files)]
            self.json({"id": name, "sha": commit.id, "siblings": siblings, "private": repository.private, "tags": []})

    def answer_refs(self, name: str) -> None:
        if repository := self.repository(name):
            branches = [{"name": "main", "ref": "refs/heads/main", "targetCommit": repository.head.id}]
            tags = [{"name": tag, "ref": f"refs/tags/{tag}", "targetCommit": target} for tag, target in repository.tags.items()]
            self.json({"branches": branches, "tags": tags, "converts": []})

    def answer_tree(self, name: str, revision: str) -> None:
        if found := self.find(name, revision):
            entries: list[dict[str, Any]] = []
            for path, content in found[1].files.items():
                entry = {"type": "file", "path": path, "size": len(content), "oid": blob_id(content)}
                if is_lfs(path):
                    pointer = lfs_pointer(content)
                    lfs = {"oid": lfs_id(content), "size": len(content), "pointerSize": len(pointer)}
                    entry |= {"oid": blob_id(pointer), "lfs": lfs}
                entries.append(entry)
            self.json(entries)

    def answer_preupload(self, name: str, revision: str) -> None:
        if not self.may_write() or not (found := self.find(name, revision)):
            return
        answers = []
        for file in json.loads(self.body)["files"]:
            path, lfs = file["path"], is_lfs(file["path"])
            answer = {"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False}
            if (content := found[1].files.get(path)) is not None:
                answer["oid"] = lfs_id(content) if lfs else blob_id(content)
            answers.append(answer)
        self.json({"files": answers})

    def answer_batch(self, name: str) -> None:
        if not self.may_write() or not self.repository(name):
            return
        objects: list[dict[str, Any]] = []
        for wanted in json.loads(self.body)["objects"]:
            upload = {"upload": {"href": f"{self.hub.endpoint}/lfs/{wanted['oid']}"}}
            missing = wanted["oid"] not in self.hub.objects
            objects.append(wanted | ({"actions": upload} if missing else {}))
        self.json({"transfer": "basic", "objects": objects})

    def answer_upload(self, oid: str) -> None:
        if lfs_id(self.body) == oid:
            self.hub.objects[oid] = self.body
            self.send(200, b"", {})
        else:
            self.fail(400, "", "The content has another checksum")

    def answer_commit(self, name: str, revision: str) -> None:
        if not self.may_write() or not (found := self.find(name, revision)):
            return
        repository, head = found
        files, header = dict(head.files), {}
        for line in self.body.splitlines():
            operation = json.loads(line)
            value = operation["value"]
            match operation["key"]:
                case "header":
                    header = value
                case "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile":
                    files[value["path"]] = self.hub.objects[value["oid"]]
                case "deletedFile":
                    del files[value["path"]]
        if header.get("parentCommit") not in (None, head.id):
            self.fail(412, "", "A commit has happened since. Please refresh and try again.")
            return
        commit = repository.commit(files, header["summary"])
        self.json({"success": True, "commitOid": commit.id, "commitUrl": f"{self.hub.endpoint}/{name}/commit/{commit.id}"})

    def answer_tag(self, name: str, revision: str) -> None:
        if not self.may_write() or not (found := self.find(name, revision)):
            return
        repository, commit = found
        tag = json.loads(self.body)["tag"]
        if tag in repository.tags:
            self.fail(409, "", f"Tag {tag} already exists")
            return
        repository.tags[tag] = commit.id
        self.send(200, b"", {})

    def answer_squash(self, name: str, revision: str) -> None:
        if self.may_write() and (found := self.find(name, revision)):
            repository, head = found
            repository.commits.clear()
            repository.commit(head.files, json.loads(self.body)["message"])
            self.send(200, b"", {})

    def answer_set_variable(self, name: str) -> None:
        if self.may_write() and (repository := self.repository(name)):
            request = json.loads(self.body)
            repository.variables[request["key"]] = request["value"]
            self.json({key: {"value": value} for key, value in repository.variables.items()})

    def answer_delete_variable(self, name: str) -> None:
        if self.may_write() and (repository := self.repository(name)):
            repository.variables.pop(json.loads(self.body)["key"], None)
            self.json({key: {"value": value} for key, value in repository.variables.items()})

    def answer_resolve(self, name: str, revision: str, path: str) -> None:
        if not (found := self.find(name, revision)):
            return
        commit = found[1]
        headers = {"X-Repo-Commit": commit.id}
        if (content := commit.files.get(path)) is None:
            self.fail(404, "EntryNotFound", "Entry not found", headers)
        elif is_lfs(path):
            headers |= {"X-Linked-ETag": f'"{lfs_id(content)}"', "X-Linked-Size": str(len(content))}
            headers |= {"Location": f"http://localhost:{self.hub.port}/cdn/{lfs_id(content)}/{path}"}
            self.hub.objects[lfs_id(content)] = content
            self.send(302, b"", headers)
        else:
            etag = blob_id(content)
            self.send(200, self.hub.alter(path, content), headers | {"ETag": f'"{etag}"'})

    def answer_cdn(self, oid: str, path: str) -> None:
        content = self.hub.alter(path, self.hub.objects[oid])
        self.send(200, content, {"ETag": f'"{oid}"'})


def hang(request: Handler) -> bool:
    """A `before` for a Hub that takes a request and never answers."""
    hub = request.hub
    while hub.running and hub.before is hang:
        time.sleep(0.02)
    return True
