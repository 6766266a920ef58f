"""pg.py: speaks PostgreSQL's simple query protocol over a Unix socket that trusts its user: what tests ask a server."""
import socket
import struct


class PgError(Exception):
    """What the server refused: `sqlstate` and its sentence."""

    def __init__(self, fields):
        super().__init__(f"{fields.get('C')} {fields.get('M')}")
        self.sqlstate = fields.get("C")


def fields_of(body):
    """Of an ErrorResponse: {"C": sqlstate, "M": sentence, …}."""
    return {part[:1].decode(): part[1:].decode("utf-8", "replace") for part in body.split(b"\0") if part}


class Pg:
    """One connection. A lost one raises OSError."""

    def __init__(self, path, user="postgres", database="postgres", timeout=60):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(path)
            self.stream = self.socket.makefile("rb")
            words = b"".join(word.encode() + b"\0" for word in ("user", user, "database", database))
            self.socket.sendall(struct.pack("!ii", len(words) + 9, 196608) + words + b"\0")
            self.collect()
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def message(self):
        head = self.stream.read(5)
        if len(head) < 5:
            raise ConnectionError("the server has hung up")
        kind, size = struct.unpack("!ci", head)
        return kind, self.stream.read(size - 4)

    def collect(self):
        """Reads to the next ReadyForQuery; the rows in text, NULL as None."""
        rows, failure = [], None
        while True:
            kind, body = self.message()
            if kind == b"D":
                rows.append(row_of(body))
            elif kind == b"E":
                failure = PgError(fields_of(body))
                if fields_of(body).get("S") == "FATAL":
                    raise failure
            elif kind == b"R" and body != b"\0\0\0\0":
                raise ConnectionError("the server asks for a password")
            elif kind == b"Z":
                if failure:
                    raise failure
                return rows

    def send(self, sql):
        """Without waiting for what follows; `collect` does."""
        body = sql.encode() + b"\0"
        self.socket.sendall(struct.pack("!ci", b"Q", len(body) + 4) + body)

    def query(self, sql):
        self.send(sql)
        return self.collect()

    def one(self, sql):
        """The first column of the first row."""
        return self.query(sql)[0][0]


def row_of(body):
    values, at = [], 2
    for _ in range(struct.unpack("!h", body[:2])[0]):
        size = struct.unpack("!i", body[at:at + 4])[0]
        at += 4
        values.append(body[at:at + size].decode() if size >= 0 else None)
        at += max(size, 0)
    return values
