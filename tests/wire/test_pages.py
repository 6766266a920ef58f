#!/usr/bin/env python3
# test_pages.py: sends every page of pages/ to the echo server, whole, in two halves and byte by byte; prints TAP.
"""A page: `> ` lines are sent, `< ` lines are expected, `# ` lines say why. Escapes: \\r \\n \\t \\0 \\xNN \\\\;
`{N*text}` repeats. A line without a closing `\\` ends in CRLF; one that ends in `\\` does not. `> EOF` shuts the
client's side. Expected: one line per answer, `status` or `status body`; the header lines checked follow as `<+ Name:
value`, those that must be missing as `<- Name`; `< close` at the end says that the server closes, `< open` that it does
not. Pages are separated by lines of `===` and open with a line `name: …`."""
import os
import re
import signal
import socket
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TIMEOUT = 20


def unescape(text):
    text = re.sub(r"\{(\d+)\*([^}]*)\}", lambda m: int(m.group(1)) * m.group(2), text)
    out = text.encode("latin-1").decode("unicode_escape")
    return out.encode("latin-1")


class Page:
    def __init__(self, text):
        self.name, self.sent, self.eof, self.answers, self.end = "", b"", False, [], "open"
        for line in text.splitlines():
            self.take(line)

    def take(self, line):
        if line.startswith("name: "):
            self.name = line[6:]
        elif line == "> EOF":
            self.eof = True
        elif line.startswith(">"):
            body = line[2:]
            self.sent += unescape(body[:-1]) if body.endswith("\\") else unescape(body) + b"\r\n"
        elif line in ("< close", "< open"):
            self.end = line[2:]
        elif line.startswith("<+"):
            self.answers[-1]["has"].append(line[3:])
        elif line.startswith("<-"):
            self.answers[-1]["not"].append(line[3:].lower())
        elif line.startswith("< "):
            status, _, body = line[2:].partition(" ")
            self.answers.append({"status": int(status), "body": body, "has": [], "not": []})
        elif line and not line.startswith("#"):
            raise ValueError("not understood: " + line)

    def heads(self):
        return [word.split(b" ", 1)[0] == b"HEAD" for word in re.split(rb"\r\n\r\n", self.sent)]


class Reader:
    def __init__(self, sock):
        self.sock, self.data, self.closed = sock, b"", False

    def more(self):
        try:
            piece = self.sock.recv(65536)
        except ConnectionResetError:
            piece = b""
        self.closed = piece == b""
        self.data += piece
        return not self.closed

    def line(self):
        while b"\r\n" not in self.data:
            if not self.more():
                raise AssertionError("the connection ended within %r" % self.data)
        line, self.data = self.data.split(b"\r\n", 1)
        return line.decode("latin-1")

    def answer(self, is_head):
        status = int(self.line().split(" ")[1])
        fields = []
        while True:
            line = self.line()
            if line == "":
                break
            fields.append(line)
        length = [int(f.split(":")[1]) for f in fields if f.lower().startswith("content-length:")]
        want = 0 if is_head or not length else length[0]
        while len(self.data) < want:
            if not self.more():
                raise AssertionError("the body ended early")
        body, self.data = self.data[:want], self.data[want:]
        return status, fields, body.decode("latin-1")


def compare(page, reader):
    for number, want in enumerate(page.answers):
        is_head = number < len(page.heads()) and page.heads()[number]
        status, fields, body = reader.answer(is_head)
        assert status == want["status"], "answer %d: %d instead of %d (%s)" % (
            number + 1, status, want["status"], body)
        if want["body"]:
            assert body == want["body"], "answer %d: body %r" % (number + 1, body)
        for field in want["has"]:
            assert field in fields, "answer %d lacks %r: %r" % (number + 1, field, fields)
        for name in want["not"]:
            assert not any(f.lower().startswith(name + ":") for f in fields), "%s in %r" % (name, fields)


def check_end(page, reader):
    if page.end == "close":
        while reader.more():
            pass
        assert reader.data == b"", "more than expected: %r" % reader.data
        return
    # A connection that is open answers once more, and nothing stands before that answer.
    reader.sock.sendall(b"GET /still-open HTTP/1.1\r\nHost: x\r\n\r\n")
    status, _, body = reader.answer(False)
    assert (status, body) == (200, "GET x /still-open? 1.1 1 []"), "not open: %d %s" % (status, body)


def pieces(data, how):
    if how == "whole":
        return [data]
    if how == "halves":
        return [data[: len(data) // 2], data[len(data) // 2 :]]
    return [data[i : i + 1] for i in range(len(data))]


def send(sock, page, how):
    try:
        for piece in pieces(page.sent, how):
            sock.sendall(piece)
        if page.eof:
            sock.shutdown(socket.SHUT_WR)
    except (BrokenPipeError, ConnectionResetError):
        pass  # a refused request may end before its last byte is sent


def run(page, how, port):
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        send(sock, page, how)
        reader = Reader(sock)
        compare(page, reader)
        check_end(page, reader)


def load():
    folder = os.path.join(HERE, "pages")
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), encoding="latin-1") as file:
            for text in file.read().split("===\n"):
                if "name: " in text:
                    yield name[:-4], Page(text)


def ways(page):
    return ("whole", "halves", "bytes") if len(page.sent) < 4096 else ("whole", "halves")


def run_all(port):
    failed = number = 0
    for file, page in load():
        for how in ways(page):
            number += 1
            label = "%s: %s, %s" % (file, page.name, how)
            try:
                run(page, how, port)
                print("ok %d - %s" % (number, label))
            except (AssertionError, OSError, ValueError, IndexError) as fault:
                failed += 1
                print("not ok %d - %s\n# %s" % (number, label, fault))
    print("1..%d" % number)
    return failed


def main():
    binary = os.environ.get("PERIGEE_BIN", os.path.join(HERE, "..", "..", "build", "perigee"))
    program = os.path.join(os.path.dirname(binary), "wire_server")
    server = subprocess.Popen([program], stdout=subprocess.PIPE)
    try:
        failed = run_all(int(server.stdout.readline()))
    finally:
        server.send_signal(signal.SIGTERM)
        clean = server.wait(TIMEOUT)
    if clean != 0:
        print("# the server ended with %d" % clean)
    return 1 if failed or clean != 0 else 0


if __name__ == "__main__":
    sys.exit(main())
