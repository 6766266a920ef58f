"""resp.py: a plain Redis client, for looking at what a server under test has stored and for steering it."""
import socket
import ssl

CALL_S = 120


class RespError(Exception):
    """An error that the server answered."""


class Resp:
    """One RESP2 connection. Answers are bytes, whole numbers, lists and None; an error answer raises."""

    def __init__(self, port=0, path=None, user=None, password=None, ca=None):
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(CALL_S)
            self.socket.connect(path)
        else:
            self.socket = socket.create_connection(("127.0.0.1", port), timeout=CALL_S)
        if ca:
            self.socket = ssl.create_default_context(cafile=ca).wrap_socket(self.socket, server_hostname="127.0.0.1")
        self.stream = self.socket.makefile("rb")
        if password:
            self.call("AUTH", *([user] if user else []), password)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stream.close()
        self.socket.close()

    def send(self, *words):
        pieces = [b"*%d\r\n" % len(words)]
        for word in words:
            data = word if isinstance(word, bytes) else str(word).encode()
            pieces.append(b"$%d\r\n%s\r\n" % (len(data), data))
        self.socket.sendall(b"".join(pieces))

    def read(self):
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RespError(rest.decode())
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"*":
            return None if rest == b"-1" else [self.item() for _ in range(int(rest))]
        length = int(rest)
        if length < 0:
            return None
        data = self.stream.read(length + 2)
        if len(data) < length + 2:
            raise ConnectionError("the server closed the connection within an answer")
        return data[:-2]

    def item(self):
        """Inside a list an error is an element, not a failure."""
        try:
            return self.read()
        except RespError as error:
            return error

    def call(self, *words):
        self.send(*words)
        return self.read()

    def info(self, section="default"):
        """INFO as a dictionary of texts."""
        lines = self.call("INFO", section).decode().split("\r\n")
        return dict(line.split(":", 1) for line in lines if ":" in line)
