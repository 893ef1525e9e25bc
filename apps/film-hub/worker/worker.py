"""Keeps the list of films in step with what lies in the store.

Every half minute it lists the bucket `films`, which it makes when it is not there, and writes what it found
through the interface. The cache remembers the last list, so that nothing is written when nothing changed.
`--check` says whether the last pass is not too long ago.
"""

import base64
import datetime
import hashlib
import hmac
import json
import os
import pathlib
import socket
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree

BUCKET = "films"
EVERY = 30
STAMP = pathlib.Path("/run/worker/last")
SECRETS = pathlib.Path("/run/secrets")
NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
SHOWN = (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".ogv")
REGION = "us-east-1"


def secret(name):
    return (SECRETS / name).read_text(encoding="ascii").strip()


def keyed(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signature(method, host, path, query, headers, payload, user, password, now):
    """The value of `Authorization` (AWS signature version 4) for a request with these headers."""
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    digest = hashlib.sha256(payload).hexdigest()
    signed = {**headers, "host": host, "x-amz-content-sha256": digest, "x-amz-date": stamp}
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    pairs = sorted((urllib.parse.quote(k, safe="-_.~"), urllib.parse.quote(v, safe="-_.~")) for k, v in query.items())
    asked = "&".join(f"{k}={v}" for k, v in pairs)
    request = "\n".join([method, path, asked, lines, names, digest])
    scope = f"{day}/{REGION}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = keyed(keyed(keyed(keyed(b"AWS4" + password.encode(), day), REGION), "s3"), "aws4_request")
    proof = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    line = f"AWS4-HMAC-SHA256 Credential={user}/{scope},SignedHeaders={names},Signature={proof}"
    return line, {"x-amz-content-sha256": digest, "x-amz-date": stamp}, asked


def store(method, query=None, payload=b""):
    """Asks the store about the bucket, and gives the body of the answer."""
    base, path, now = os.environ["STORE_URL"], f"/{BUCKET}", datetime.datetime.now(datetime.timezone.utc)
    host = urllib.parse.urlsplit(base).netloc
    line, headers, asked = signature(
        method, host, path, query or {}, {}, payload, os.environ["STORE_USER"], secret("store-password"), now
    )
    url = f"{base}{path}" + (f"?{asked}" if asked else "")
    request = urllib.request.Request(url, data=payload or None, method=method, headers={**headers, "Authorization": line})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


def prepare():
    """Makes the bucket, and lets everybody read what lies in it."""
    try:
        store("PUT")
    except urllib.error.HTTPError as error:
        if error.code != 409:
            raise
    allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    store("PUT", {"policy": ""}, json.dumps({"Version": "2012-10-17", "Statement": [allow]}).encode())


def parse(document):
    """Films of one page of the list, and the mark of the next page."""
    root = xml.etree.ElementTree.fromstring(document)
    films = []
    for entry in root.iter(f"{NAMESPACE}Contents"):
        key = entry.findtext(f"{NAMESPACE}Key")
        if key.lower().endswith(SHOWN):
            title = pathlib.PurePosixPath(key).stem.replace("_", " ").replace(".", " ").strip()
            size, changed = entry.findtext(f"{NAMESPACE}Size"), entry.findtext(f"{NAMESPACE}LastModified")
            films.append({"key": key, "title": title or key, "bytes": int(size), "changed": changed})
    return films, root.findtext(f"{NAMESPACE}NextContinuationToken")


def films_in_store():
    films, mark = [], None
    while True:
        query = {"list-type": "2"} | ({"continuation-token": mark} if mark else {})
        found, mark = parse(store("GET", query))
        films += found
        if not mark:
            return films


def token(key, now):
    """A JSON web token of a minute's life for the role that may write."""
    part = lambda value: base64.urlsafe_b64encode(value).rstrip(b"=").decode()
    head = part(b'{"alg":"HS256","typ":"JWT"}')
    body = part(json.dumps({"role": "indexer", "exp": now + 60}).encode())
    return f"{head}.{body}.{part(keyed(key.encode(), f'{head}.{body}'))}"


def interface(method, query, value=None, prefer=None):
    headers = {"Authorization": f"Bearer {token(secret('indexer-key'), int(time.time()))}"}
    if prefer:
        headers["Prefer"] = prefer
    data = None
    if value is not None:
        data, headers["Content-Type"] = json.dumps(value).encode(), "application/json"
    url = f"{os.environ['API_URL']}/films{query}"
    with urllib.request.urlopen(urllib.request.Request(url, data=data, method=method, headers=headers), timeout=30) as answer:
        return json.loads(answer.read() or b"null")


def cache(*words):
    """One command to the cache, and its answer as bytes, or nothing."""
    host, port = os.environ["CACHE"].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as link:
        lines = link.makefile("rwb")
        parts = [word.encode() for word in words]
        lines.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        lines.flush()
        head = lines.readline().strip()
        if head.startswith(b"$") and head != b"$-1":
            return lines.read(int(head[1:]))
        return head[1:] if head.startswith(b"+") else None


def look():
    """One pass."""
    films = films_in_store()
    digest = hashlib.sha256(json.dumps(films, sort_keys=True).encode()).hexdigest()
    if cache("GET", "films") == digest.encode():
        return
    known = {row["key"] for row in interface("GET", "?select=key")}
    if films:
        interface("POST", "", films, "resolution=merge-duplicates,return=minimal")
    for key in sorted(known - {film["key"] for film in films}):
        interface("DELETE", "?key=eq." + urllib.parse.quote(key, safe=""))
    # an hour later it is written anyway, should the database have been put back
    cache("SET", "films", digest, "EX", "3600")
    print(f"{len(films)} films", flush=True)


def main():
    ready = False
    while True:
        try:
            if not ready:
                prepare()
                ready = True
            look()
            STAMP.touch()
        except (OSError, ValueError, KeyError, xml.etree.ElementTree.ParseError) as error:
            print(f"the pass failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        time.sleep(EVERY)


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(not (STAMP.exists() and time.time() - STAMP.stat().st_mtime < 10 * EVERY))
    main()
