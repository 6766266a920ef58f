"""case.py: a test class with a running server, calls that read like the API, and TAP output."""
import http.client
import json as json_module
import os
import sys
import unittest

from lib.server import Server

CALL_S = 60


class Headers(dict):
    """Header names in lower case."""

    def get(self, name, default=None):
        return super().get(name.lower(), default)


class Answer:
    """One answer: status, headers, body, text, json (decimals exact: numbers with a fraction become Decimal text)."""

    def __init__(self, response):
        self.status = response.status
        self.headers = Headers()
        self.cookies = []
        for name, value in response.getheaders():
            if name.lower() == "set-cookie":
                self.cookies.append(value)
            self.headers[name.lower()] = value
        self.body = response.read()

    @property
    def text(self):
        return self.body.decode("utf-8")

    @property
    def json(self):
        return json_module.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.text[:600]}"


def call(port, method, path, json=None, body=None, headers=None, tenant="acme", key=None, session=None):
    """One request on a connection of its own."""
    sent = {"Host": f"{tenant}.localhost:{port}"} if tenant else {}
    if key == "owner":
        key = f"demo-owner-{tenant}"
    if key:
        sent["Authorization"] = "Bearer " + key
    if session:
        sent["X-Session-ID"] = session
    if json is not None:
        body = json if isinstance(json, str) else json_module.dumps(json)
        sent["Content-Type"] = "application/json"
    sent.update(headers or {})
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=CALL_S)
    try:
        connection.request(method, path, body=body, headers=sent)
        return Answer(connection.getresponse())
    finally:
        connection.close()


class Case(unittest.TestCase):
    """A class of tests against one server, which setUpClass starts and tearDownClass stops."""

    settings = {}
    server = None

    @classmethod
    def make_server(cls):
        return Server(**cls.settings)

    @classmethod
    def prepare(cls):
        """Runs once the server is up: put data in here."""

    @classmethod
    def setUpClass(cls):
        cls.server = cls.make_server()
        try:
            cls.server.start()
            cls.prepare()
        except BaseException:
            cls.server.kill()
            cls.server.remove()
            raise

    @classmethod
    def tearDownClass(cls):
        server, cls.server = cls.server, None
        try:
            code = server.stop()
            if code != 0:
                raise AssertionError(f"the server ended with {code}:\n{server.log()[-6000:]}")
            if "AddressSanitizer" in server.log() or "runtime error:" in server.log():
                raise AssertionError("a sanitizer spoke:\n" + server.log()[-6000:])
        finally:
            server.remove()

    @classmethod
    def call(cls, method, path, **options):
        return call(cls.server.port, method, path, **options)

    def expect(self, status, method, path, **options):
        """The answer of a call that must have this status."""
        answer = self.call(method, path, **options)
        self.assertEqual(answer.status, status, f"{method} {path}: {answer}")
        return answer


class Tap(unittest.TestResult):
    """Prints one TAP line per test; an error in setUpClass or tearDownClass is a failed test too."""

    def __init__(self):
        super().__init__()
        self.number = 0

    def line(self, good, test, trace=None):
        self.number += 1
        print(f"{'ok' if good else 'not ok'} {self.number} - {test}", flush=True)
        if trace:
            print("\n".join("# " + line for line in trace.split("\n")), flush=True)

    def addSuccess(self, test):
        self.line(True, test.id())

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.line(False, test.id(), self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.line(False, str(test), self.errors[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.line(False, subtest.id(), str(err[1]))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.line(False, f"{test} # SKIP {reason}")  # run.py says so in its report


def main(module="__main__"):
    """Runs the tests of a file; arguments name classes or Class.test."""
    loader = unittest.defaultTestLoader
    source = sys.modules[module]
    names = sys.argv[1:]
    suite = loader.loadTestsFromNames(names, source) if names else loader.loadTestsFromModule(source)
    result = Tap()
    suite.run(result)
    sys.stdout.flush()
    os._exit(0 if result.wasSuccessful() else 1)
