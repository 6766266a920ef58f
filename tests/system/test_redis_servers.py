#!/usr/bin/env python3
"""test_redis_servers.py: `./dev servers` says how its Redis and PostgreSQL are reached, and stops them again;
`./dev run --servers` runs the demo on such servers, and ends them with it."""
import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import call, main  # noqa: E402 pylint: disable=wrong-import-position
from lib.resp import Resp  # noqa: E402 pylint: disable=wrong-import-position
from lib.server import BINARY, ROOT, eventually, free_port  # noqa: E402 pylint: disable=wrong-import-position

PATIENCE_S = 300


class Servers(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="perigee-servers-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.addCleanup(self.dev, "stop")
        self.env = {key: value for key, value in os.environ.items() if not key.startswith("PERIGEE_")}
        self.env.update(PERIGEE_DATA=self.folder, PERIGEE_BIN=BINARY)

    def dev(self, *words):
        """(exit code, standard output, standard error) of ./dev servers."""
        done = subprocess.run(["sh", "dev", "servers", *words], cwd=ROOT, env=self.env, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S, check=False)
        return done.returncode, done.stdout, done.stderr

    @staticmethod
    def exported(text):
        """What a shell would export."""
        words = [shlex.split(line) for line in text.splitlines()]
        assert all(line[0] == "export" and len(line) == 2 for line in words), text
        return dict(line[1].split("=", 1) for line in words)

    def perigee(self, exports, *words):
        """Another command of the binary, with what was exported."""
        return subprocess.run([BINARY, *words, "--config", "demo/perigee.conf"], cwd=ROOT, env={**self.env, **exports},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S,
                              check=False)

    def is_refused(self, url):
        place = urllib.parse.urlsplit(url)
        with contextlib.suppress(OSError), Resp(place.port):
            return False
        return True

    def test_started_told_and_stopped(self):
        code, out, err = self.dev()
        self.assertEqual(code, 0, err)
        exports = self.exported(out)
        self.assertEqual(sorted(exports), ["PERIGEE_POSTGRES_URL", "PERIGEE_REDIS_URL"])
        with Resp(urllib.parse.urlsplit(exports["PERIGEE_REDIS_URL"]).port) as client:
            self.assertEqual(client.call("PING"), b"PONG")
        done = self.perigee(exports, "migrate")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.dev()[:2], (0, out), "asked again it tells of the same")
        code, _, err = self.dev("cluster")
        self.assertEqual(code, 1, err)
        self.assertEqual(self.dev("stop")[0], 0)
        for url in exports.values():
            self.assertTrue(self.is_refused(url), url)
        self.assertIn("none are running", self.dev("stop")[2])
        self.assertEqual(self.dev("nonsense")[0], 2)

    def test_the_demo_runs_on_them(self):
        """What `./dev run --servers` does once everything is built."""
        keeper, port = os.path.join(self.folder, "servers.dev"), free_port()
        self.env["PERIGEE_PORT"] = str(port)
        command = [sys.executable, "tests/servers.py", keeper]
        demo = subprocess.Popen([*command, "with", "single", "sh", "demo/run.sh"], cwd=ROOT, env=self.env,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            roles = eventually(lambda: demo.poll() is not None or self.roles(port), "the demo is ready", PATIENCE_S)
            self.assertIsNone(demo.poll())
            self.assertEqual((roles["cache"], roles["ledger"]),
                             ({"engine": "redis", "up": True}, {"engine": "postgres", "up": True}))
            self.assertTrue(call(port, "GET", "/api/products?limit=1").json["items"])
            _, out, _ = self.dev()
        finally:
            demo.send_signal(signal.SIGTERM)
            self.assertEqual(demo.wait(PATIENCE_S), 0)
        running = subprocess.run([*command, "running"], cwd=ROOT, env=self.env, check=False)
        self.assertEqual(running.returncode, 1)
        for url in self.exported(out).values():
            self.assertTrue(self.is_refused(url), url)

    @staticmethod
    def roles(port):
        with contextlib.suppress(OSError):
            answer = call(port, "GET", "/readyz", tenant=None)
            return answer.json["roles"] if answer.status == 200 else None
        return None


if __name__ == "__main__":
    main()
