#!/usr/bin/env python3
"""test_postgres_driver.py: the driver's own program against real servers: plain, with TLS, by a Unix socket, behind
pgbouncer, beside a replica that stands still."""
import os
import subprocess
import sys
import unittest
from urllib.parse import quote

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import main  # noqa: E402
from lib.engines import until  # noqa: E402
from lib.postgres import ROLE, Bouncer, Replicated, Single  # noqa: E402
from lib.server import BINARY  # noqa: E402

PROGRAM = os.path.join(os.path.dirname(BINARY), "unit", "unit_bindings_test_postgres_server")
CEILING_S = 600


class Driver(unittest.TestCase):
    def drive(self, url, **more):
        names = {f"PERIGEE_TEST_POSTGRES_{name.upper()}": value for name, value in dict(more, url=url).items()}
        done = subprocess.run([PROGRAM], env=dict(os.environ, **names), timeout=CEILING_S, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout.decode("utf-8", "replace"))

    def test_plain_and_by_a_socket(self):
        with Single() as server:
            self.drive(server.url)
            self.drive(f"postgres://{ROLE}:{quote(server.password, safe='')}@/{ROLE}?host={server.node.folder}"
                       f"&port={server.node.port}")

    def test_verified(self):
        with Single(tls=True) as server:
            self.drive(server.url)

    def test_behind_a_pooler(self):
        with Single() as server, Bouncer(server) as bouncer:
            self.drive(bouncer.url, listen_url=server.url)

    def test_beside_a_replica(self):
        with Replicated() as servers:
            servers.query("create table driver_read (id int); alter table driver_read owner to perigee")
            servers.query("insert into driver_read values (0)")
            until(servers.caught_up, "the replica knows the table")
            servers.hold_replay()
            self.drive(servers.url, read_url=servers.read_url)


if __name__ == "__main__":
    main()
