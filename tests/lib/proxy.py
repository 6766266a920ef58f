"""proxy.py: a TCP proxy on a loopback port that a test turns into a bad network, and back, while connections stand."""
import contextlib
import socket
import threading

from lib.engines import steady_port

PIECE = 65536


class Pair:
    """A client's connection and, unless the proxy was silent when it came, the one to the server behind."""

    def __init__(self, proxy, client, server):
        self.proxy, self.client, self.server = proxy, client, server

    def start(self):
        for source, target, answers in ((self.client, self.server, False), (self.server, self.client, True)):
            threading.Thread(target=self.pump, args=(source, target, answers), daemon=True).start()

    def pump(self, source, target, answers):
        with contextlib.suppress(OSError):
            while True:
                data = source.recv(PIECE)
                if not data:
                    break
                self.proxy.forward(self, target, data, answers)
        self.close()

    def close(self):
        for end in (self.client, self.server):
            if end is not None:
                # shutdown wakes the thread that reads from it; close alone would not.
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
        self.proxy.forget(self)


class Proxy:
    """Forwards to a port of 127.0.0.1. What the network does is said by one call and holds until the next."""

    def __init__(self, target):
        self.target = target
        self.turn = threading.Condition()
        self.mode, self.delay, self.left = "open", 0, None
        self.pairs, self.listener = set(), None
        self.answered = 0  # bytes that went to clients
        self.accepted = 0  # connections that clients made
        self.cuts = 0  # connections that `cut` ended
        self.port = self.first_port()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def first_port(self):
        for _ in range(100):
            port = steady_port()
            with contextlib.suppress(OSError):
                self.listen(port)
                return port
        raise OSError("no port to listen on")

    def listen(self, port):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(512)
        except OSError:
            listener.close()
            raise
        self.listener = listener
        threading.Thread(target=self.accept, args=(listener,), daemon=True).start()

    def accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                client = listener.accept()[0]
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self.turn:
                    if self.listener is not listener:
                        client.close()  # `refuse` came in between, and has ended all that it knew of
                        return
                    self.accepted += 1
                    quiet = self.mode == "silent"
                    pair = Pair(self, client, None)
                    self.pairs.add(pair)
                if not quiet:
                    self.connect(pair)

    def connect(self, pair):
        try:
            pair.server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            pair.close()
            return
        pair.server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pair.start()

    def forget(self, pair):
        with self.turn:
            self.pairs.discard(pair)

    def forward(self, pair, target, data, answers):
        """Passes on what the mode allows, and waits while it allows nothing."""
        while data:
            with self.turn:
                while self.mode == "paused":
                    self.turn.wait()
                if self.mode == "silent":
                    return
                delay = self.delay if answers else 0
                piece = data[:1] if delay else data
                cut = answers and self.left is not None and self.left <= len(piece)
                if cut:
                    piece, self.left = piece[:self.left], None
                    self.cuts += 1
                elif answers and self.left is not None:
                    self.left -= len(piece)
                self.answered += len(piece) if answers else 0
            target.sendall(piece)
            if cut:
                raise OSError("cut")
            data = data[len(piece):]
            if delay:
                threading.Event().wait(delay)

    def become(self, mode, delay=0):
        with self.turn:
            self.mode, self.delay, self.left = mode, delay, None
            self.turn.notify_all()
        if self.listener is None:
            self.listen(self.port)

    def open(self):
        """As if it were not there. What was paused goes on; a connection that met `silent` has lost bytes."""
        self.become("open")

    def pause(self):
        """Nothing gets through in either direction, and nothing is lost."""
        self.become("paused")

    def silent(self):
        """Takes connections and bytes, and answers nothing."""
        self.become("silent")

    def slow(self, delay=0.01):
        """Answers come byte by byte, with so many seconds between two."""
        self.become("open", delay)

    def cut(self, after):
        """Passes so many more bytes of answers, counted over all connections, and ends the connection on which the
        last one went; once."""
        with self.turn:
            self.left = after

    def hang_up(self):
        """Ends every connection; new ones are welcome."""
        with self.turn:
            pairs = list(self.pairs)
        for pair in pairs:
            pair.close()

    def refuse(self):
        """Ends every connection and refuses new ones."""
        listener, self.listener = self.listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self.turn:
            self.mode, self.delay, self.left = "open", 0, None
            self.turn.notify_all()
        self.hang_up()

    def close(self):
        self.refuse()
