"""Serves the page beside it, and passes on the few calls that its routes name.

The routes come from a file that the platform writes (`/etc/companion.json`):

    {"routes": {"/api/chain": {"url": "http://main:8332/rest/chaininfo.json"}}}

A browser can ask for what is listed and for nothing else; credentials are read here, from files,
at each call, and never reach the page. A route is one of

    {"url": U}                        GET of U; with "method": "POST" a POST of the page's JSON
    {"url": U, "rpc": M, "params": P} one JSON-RPC call with fixed parameters
    {"electrum": "host:port"}         height and version of an Electrum server
    {"connect": "host:port"}          whether something answers there
    {"value": V}                      V itself

and may have "user" with "password_file", "hex_headers" {name: file}, "ca_file", "fields" (those of the
page's JSON that are passed on) and "add" {field: file} (a file's content, as base64).
"""

import base64
import http.server
import json
import os
import pathlib
import socket
import ssl
import urllib.error
import urllib.request

CONFIG = os.environ.get("COMPANION_CONFIG", "/etc/companion.json")
PAGE = pathlib.Path(__file__).resolve().parent / "page"
PORT = int(os.environ.get("COMPANION_PORT", "3000"))
SECONDS = 15
LONGEST_REQUEST = 16 << 10
LONGEST_ANSWER = 4 << 20
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Unanswered(Exception):
    """What was asked gave no usable answer; the text may be shown."""


def load_routes():
    """The routes, read anew at each call, since the platform may write the file again."""
    return json.loads(pathlib.Path(CONFIG).read_text(encoding="utf-8"))["routes"]


def load_files():
    """The page's files by path. They are read once: no path of a request reaches the disk."""
    files = {}
    for path in sorted(PAGE.iterdir()):
        if path.suffix in TYPES:
            files["/" + path.name] = (TYPES[path.suffix], path.read_bytes())
    files["/"] = files["/index.html"]
    return files


def content(path):
    """Bytes of a credential, which may not be there yet."""
    try:
        return pathlib.Path(path).read_bytes()
    except OSError as error:
        raise Unanswered("a credential is not there yet") from error


def headers_of(route):
    headers = {"Accept": "application/json"}
    if "password_file" in route:
        pair = route["user"].encode() + b":" + content(route["password_file"]).strip()
        headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
    for name, path in route.get("hex_headers", {}).items():
        headers[name] = content(path).hex()
    return headers


def body_of(route, sent):
    if "rpc" in route:
        call = {"jsonrpc": "1.0", "id": "page", "method": route["rpc"], "params": route.get("params", [])}
        return json.dumps(call).encode()
    if route.get("method", "GET") == "GET":
        return None
    given = json.loads(sent or b"{}")
    wanted = {field: given[field] for field in route.get("fields", []) if field in given}
    for field, path in route.get("add", {}).items():
        wanted[field] = base64.b64encode(content(path).strip()).decode()
    return json.dumps(wanted).encode()


def ask_http(route, sent):
    """Asks over HTTP, and gives the JSON of the answer."""
    context = None
    if "ca_file" in route:
        context = ssl.create_default_context(cadata=content(route["ca_file"]).decode())
        context.check_hostname = False  # the certificate is pinned; its names are the owner's
    body = body_of(route, sent)
    request = urllib.request.Request(route["url"], data=body, headers=headers_of(route))
    if body is not None:
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=SECONDS, context=context) as answer:
            found = json.loads(answer.read(LONGEST_ANSWER))
    except urllib.error.HTTPError as error:
        raise Unanswered(f"it answered with status {error.code}") from error
    except (OSError, ValueError) as error:
        raise Unanswered("it does not answer yet") from error
    return found.get("result", found) if "rpc" in route else found


def connect(address):
    host, port = address.rsplit(":", 1)
    try:
        return socket.create_connection((host, int(port)), timeout=SECONDS)
    except OSError as error:
        raise Unanswered("it does not answer yet") from error


def ask_electrum(address):
    """Asks an Electrum server for its version and its best block."""
    calls = [("server.version", ["companion", "1.4"]), ("blockchain.headers.subscribe", [])]
    with connect(address) as link:
        lines = link.makefile("rwb")
        results = []
        for number, (method, params) in enumerate(calls):
            call = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            try:
                lines.write(json.dumps(call).encode() + b"\n")
                lines.flush()
                answer = json.loads(lines.readline(LONGEST_REQUEST))
            except (OSError, ValueError) as error:
                raise Unanswered("it does not answer yet") from error
            results.append(answer.get("result"))
    if not results[0] or not results[1]:
        raise Unanswered("it gave no height")
    return {"version": results[0][0], "protocol": results[0][1], "height": results[1].get("height")}


def ask(route, sent):
    if "electrum" in route:
        return ask_electrum(route["electrum"])
    if "connect" in route:
        connect(route["connect"]).close()
        return {"answers": True}
    return route["value"] if "value" in route else ask_http(route, sent)


class Handler(http.server.BaseHTTPRequestHandler):
    """One request of a browser."""

    server_version = "companion"
    sys_version = ""
    timeout = 60
    files = load_files()

    def answer(self, status, kind, body):
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def say(self, status, value):
        self.answer(status, "application/json", json.dumps(value).encode())

    def call(self, method, sent):
        path = self.path.split("?", 1)[0]
        try:
            route = load_routes().get(path)
            if route is None or route.get("method", "GET") != method:
                return self.say(404, {"error": "there is no such call"})
            return self.say(200, ask(route, sent))
        except Unanswered as error:
            return self.say(502, {"error": str(error)})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return self.say(500, {"error": "the call could not be made"})

    def do_GET(self):
        path = self.path.split("?", 1)[0]
        if path == "/health":
            return self.answer(200, "text/plain", b"ok\n")
        if path.startswith("/api/"):
            return self.call("GET", None)
        kind, body = self.files.get(path, (None, None))
        if body is None:
            return self.answer(404, "text/plain", b"not found\n")
        return self.answer(200, kind, body)

    def do_POST(self):
        # a page of another site cannot set this header without being asked for leave first
        if self.headers.get("X-Companion") != "1":
            return self.say(403, {"error": "only the page may ask for that"})
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > LONGEST_REQUEST:
            return self.say(413, {"error": "the request is too long"})
        return self.call("POST", self.rfile.read(int(length)))

    def log_message(self, *_):
        """Says nothing: requests are the owner's own."""


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("", PORT), Handler)
    server.daemon_threads = True
    server.serve_forever()
