"""smtp.py: a mail server on this machine that keeps its letters, and that a test can make refuse, hang or die."""
import base64
import contextlib
import email
import email.policy
import socket
import ssl
import threading


class Letter:
    """One message as it came: the envelope, and what a reader's program makes of the rest."""

    def __init__(self, sender, recipients, raw):
        self.sender, self.recipients, self.raw = sender, recipients, raw
        self.message = email.message_from_bytes(raw, policy=email.policy.default)

    def __getitem__(self, header):
        return self.message[header]

    @property
    def text(self):
        return self.message.get_content()


class Smtp:
    """Listens until close(). answers maps a verb (MAIL, RCPT, DATA, "." for the letter's end) to what is said instead
    of 250; before_end(letter) is called once a letter is kept and before the sender hears of it. Verbs in `silent` are
    never answered, and noted in `held`. context: a server's ssl.SSLContext; implicit: secure from the first byte on,
    else after STARTTLS."""

    def __init__(self, context=None, implicit=False, login=None):
        self.letters, self.answers, self.silent = [], {}, set()
        self.before_end = lambda letter: None
        self.context, self.implicit, self.login = context, implicit, login
        self.logins, self.held = [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.open = set()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            with self.lock:
                self.open.add(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            if self.context and self.implicit:
                connection = self.context.wrap_socket(connection, server_side=True)
            Session(self, connection).run()
        except OSError:
            pass
        finally:
            connection.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)  # or accept() would take one more
        self.listener.close()
        with self.lock:
            for connection in self.open:
                connection.close()


class Session:
    """One connection."""

    def __init__(self, server, connection):
        self.server, self.connection = server, connection
        self.lines = connection.makefile("rb")
        self.sender, self.recipients = None, []
        self.secure = server.implicit

    def say(self, line):
        self.connection.sendall(line.encode() + b"\r\n")

    def answer(self, verb, usual):
        """False when the usual was not said. One that is silent waits until the client leaves."""
        if verb in self.server.silent:
            self.server.held.append(verb)
            self.lines.read()
            raise ConnectionError(verb)
        line = self.server.answers.get(verb, usual)
        self.say(line)
        return line == usual

    def run(self):
        if not self.answer("CONNECT", "220 test ESMTP"):
            return
        for raw in self.lines:
            line = raw.decode().rstrip("\r\n")
            verb = line.split(" ")[0].upper()
            if not getattr(self, "on_" + verb.lower(), self.on_unknown)(line):
                return

    def on_unknown(self, _line):
        self.say("502 no")
        return True

    def on_ehlo(self, _line):
        offers = ["250-test"]
        if self.server.context and not self.secure:
            offers.append("250-STARTTLS")
        if self.server.login:
            offers.append("250-AUTH PLAIN")
        self.say("\r\n".join([*offers, "250 8BITMIME"]))
        return True

    def on_starttls(self, _line):
        self.say("220 go on")
        self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
        self.lines = self.connection.makefile("rb")
        self.secure = True
        return self.run_secure()

    def run_secure(self):
        for raw in self.lines:
            line = raw.decode().rstrip("\r\n")
            if not getattr(self, "on_" + line.split(" ")[0].lower(), self.on_unknown)(line):
                break
        return False

    def on_auth(self, line):
        words = line.split(" ")
        if len(words) < 3:
            self.say("334 ")
            words.append(self.lines.readline().decode().strip())
        given = base64.b64decode(words[2]).decode().split("\0")[1:]
        self.server.logins.append((tuple(given), self.secure))
        self.say("235 welcome" if tuple(given) == self.server.login else "535 no")
        return True

    def on_mail(self, line):
        if self.server.login and not self.server.logins:
            self.say("530 who are you")
        elif self.answer("MAIL", "250 ok"):
            self.sender, self.recipients = line[line.index("<") + 1:line.index(">")], []
        return True

    def on_rcpt(self, line):
        if self.answer("RCPT", "250 ok"):
            self.recipients.append(line[line.index("<") + 1:line.index(">")])
        return True

    def on_data(self, _line):
        if not self.answer("DATA", "354 go on"):
            return True
        body = b""
        for line in self.lines:
            if line == b".\r\n":
                letter = Letter(self.sender, self.recipients, body)
                with self.server.lock:
                    self.server.letters.append(letter)
                self.server.before_end(letter)
                self.answer(".", "250 kept")
                return True
            body += line[1:] if line.startswith(b"..") else line
        return False

    def on_quit(self, _line):
        self.answer("QUIT", "221 bye")
        return False
