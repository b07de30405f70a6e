"""Servers on the loopback address: plain files that misbehave on demand, and as much of the Hugging Face Hub as its
real client needs to create a repository, upload a folder and download files."""

import base64
import hashlib
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Server:
    """Runs in a thread while in a ``with`` block; ``requests`` logs (method, path, Range header or None)."""

    def __init__(self):
        self.requests: list[tuple[str, str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.requests.append((self.command, self.path, self.headers.get("Range")))
                outer.answer(self)

            do_GET = do_HEAD = do_POST = do_PUT = handle_any

            def reply(self, status, content=b"", headers=None):
                self.send_response(status)
                for name, value in {"Content-Length": len(content), **(headers or {})}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def log_message(self, *args):
                pass

        class QuietServer(ThreadingHTTPServer):
            def handle_error(self, request, client_address):  # clients that hang up are part of the tests
                pass

        self.server = QuietServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *exception):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request):
        raise NotImplementedError


class FileServer(_Server):
    """Serves ``files`` (path to content) with ETag and Range.

    Set ``cut_after`` to hang up after so many bytes of an answer, ``cuts`` to do so for the first few only,
    ``ranges`` to False to ignore Range, ``status`` to answer every request with that, ``delay`` seconds before answers.
    """

    def __init__(self, files=None):
        super().__init__()
        self.files = dict(files or {})
        self.cut_after, self.cuts, self.ranges, self.status, self.delay = None, 10**6, True, None, 0.0
        self.sent = 0  # bytes of content

    def answer(self, request):
        time.sleep(self.delay)
        content = self.files.get(request.path)
        if self.status or content is None:
            return request.reply(self.status or 404)
        etag = f'"{hashlib.md5(content).hexdigest()}"'
        headers, status, start = {"ETag": etag}, 200, 0
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range") or "")
        if self.ranges and asked and request.headers.get("If-Range", etag) == etag:
            status, start = 206, int(asked[1])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        headers["Content-Length"] = len(body)
        if self.cut_after is not None and self.cuts and len(body) > self.cut_after:
            self.cuts -= 1
            body = body[: self.cut_after]
            request.close_connection = True
        self.sent += len(body)
        request.reply(status, body, headers)


class HubServer(_Server):
    """A Hub in memory: ``repos`` maps "org/name" to its files (path to content)."""

    COMMIT = "c0ffee" + "0" * 34

    def __init__(self):
        super().__init__()
        self.repos: dict[str, dict[str, bytes]] = {}
        self.blobs: dict[str, bytes] = {}

    def answer(self, request):
        path = request.path.split("?")[0]
        for pattern, method in (
            (r"/api/repos/create", self.create),
            (r"/api/validate-yaml", self.validate),
            (r"/api/models/([^/]+/[^/]+)/preupload/main", self.preupload),
            (r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", self.batch),
            (r"/blobs/(\w+)", self.put),
            (r"/api/models/([^/]+/[^/]+)/commit/main", self.commit),
            (r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.resolve),
        ):
            if match := re.fullmatch(pattern, path):
                return method(request, *match.groups())
        return request.reply(404)

    def create(self, request):
        asked = json.loads(request.body)
        name = f"{asked['organization'] or 'me'}/{asked['name']}"
        status = 409 if name in self.repos else 200
        self.repos.setdefault(name, {})
        self.json(request, {"url": f"{self.address}/{name}"}, status)

    def validate(self, request):
        # of the card's metadata the real Hub refuses unknown licences; so does this one
        content = json.loads(request.body)["content"]
        licence = re.search(r"^license: (.*)$", content.split("---")[1], re.MULTILINE)
        known = licence is None or licence[1] in ("apache-2.0", "cc-by-nc-4.0", "other")
        self.json(request, {"errors": [] if known else [{"message": "license"}], "warnings": []}, 200 if known else 400)

    def preupload(self, request, repo):
        modes = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                "shouldIgnore": False,
            }
            for file in json.loads(request.body)["files"]
        ]
        self.json(request, {"files": modes})

    def batch(self, request, repo):
        objects = [
            {**asked, "actions": {"upload": {"href": f"{self.address}/blobs/{asked['oid']}"}}}
            for asked in json.loads(request.body)["objects"]
        ]
        self.json(request, {"transfer": "basic", "objects": objects})

    def put(self, request, digest):
        assert hashlib.sha256(request.body).hexdigest() == digest
        self.blobs[digest] = request.body
        request.reply(200)

    def commit(self, request, repo):
        for line in request.body.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                self.repos[repo][entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            elif entry["key"] == "lfsFile":
                self.repos[repo][entry["value"]["path"]] = self.blobs[entry["value"]["oid"]]
        commit = {"commitUrl": f"{self.address}/{repo}/commit/{self.COMMIT}", "commitOid": self.COMMIT}
        self.json(request, {"success": True, **commit})

    def resolve(self, request, repo, revision, file):
        if repo not in self.repos:
            return request.reply(401, headers={"X-Error-Code": "RepoNotFound"})
        if revision not in ("main", self.COMMIT):
            return request.reply(404, headers={"X-Error-Code": "RevisionNotFound"})
        if file not in self.repos[repo]:
            return request.reply(404, headers={"X-Error-Code": "EntryNotFound", "X-Repo-Commit": self.COMMIT})
        content = self.repos[repo][file]
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        return request.reply(200, content, {"ETag": etag, "X-Repo-Commit": self.COMMIT})

    def json(self, request, content, status=200):
        request.reply(status, json.dumps(content).encode(), {"Content-Type": "application/json"})
