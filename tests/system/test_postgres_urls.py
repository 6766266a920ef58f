#!/usr/bin/env python3
"""test_postgres_urls.py: the ways to a PostgreSQL: TLS and SCRAM, several hosts, a Unix socket, pgbouncer; and ways
that fail."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from urllib.parse import quote

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import main  # noqa: E402
from lib.engines import make_certificates, steady_port  # noqa: E402
from lib.postgres import ROLE, Bouncer, Replicated, Single  # noqa: E402
from lib.server import BINARY, PATIENT, ROOT, overrides  # noqa: E402

SSL = "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()"


class Way(unittest.TestCase):
    """One question asked by a program of its own."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="perigee-ways-")

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    variables = {}  # that somebody has set for other programs

    def ask(self, url, sql, *columns):
        """(exit code, what it printed, errors); the password is in none of it."""
        env = {key: value for key, value in os.environ.items() if not key.startswith("PERIGEE_")}
        env.update(overrides(**PATIENT, postgres_url=url, data=self.folder), **self.variables)
        done = subprocess.run([BINARY, "script", "tests/lib/pg_ask.lua", sql, *columns], cwd=ROOT, env=env, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300, check=False)
        for text in (done.stdout, done.stderr):
            self.assertNotIn(self.password, text)
            self.assertNotIn(quote(self.password, safe=""), text)
        return done.returncode, done.stdout.split("\n")[:-1], done.stderr

    def reached(self, url, sql, *columns):
        code, lines, errors = self.ask(url, sql, *columns)
        self.assertEqual(code, 0, errors)
        return lines

    def refused(self, url, why):
        code, _, errors = self.ask(url, "select 1")
        self.assertEqual(code, 1)
        self.assertRegex(errors, why)


class Tls(Way):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.postgres = Single(tls=True)
        cls.password = cls.postgres.password

    @classmethod
    def tearDownClass(cls):
        cls.postgres.close()
        super().tearDownClass()

    def by(self, **options):
        """The URL with other options; None leaves one out."""
        url = self.postgres.url_at(self.postgres.node.port).split("?")[0]
        options = {**self.postgres.options, **options}
        return url + "?" + "&".join(f"{name}={value}" for name, value in options.items() if value is not None)

    def test_verified(self):
        self.assertEqual(self.reached(self.by(), SSL, "ssl", "version"), ["true", "TLSv1.3"])

    def test_bound_to_the_channel(self):
        self.reached(self.by(channel_binding="require"), SSL, "ssl")

    def test_unknown_authority(self):
        make_certificates(self.folder)
        self.refused(self.by(sslrootcert=os.path.join(self.folder, "ca.crt")), "certificate")

    def test_another_hosts_certificate(self):
        url = self.by(hostaddr="127.0.0.1").replace("@127.0.0.1", "@shop.example")
        self.refused(url, "certificate|shop.example")

    def test_without_tls(self):
        self.refused(self.by(sslmode="disable", sslrootcert=None), "no encryption|pg_hba")

    def test_wrong_password(self):
        self.refused(self.by().replace(quote(self.password, safe=""), "another-word"),
                     f'port {self.postgres.node.port} .*password authentication failed for user "{ROLE}"')

    def test_no_such_database(self):
        self.refused(self.by().replace(f"/{ROLE}?", "/nothing?"), "nothing")

    def test_a_name_that_is_nobodys(self):
        self.refused(f"postgres://{ROLE}:word@nobody.invalid/{ROLE}", r"nobody\.invalid")


class Hosts(Way):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pair = Replicated()
        cls.password = cls.pair.password

    @classmethod
    def tearDownClass(cls):
        cls.pair.close()
        super().tearDownClass()

    def test_one_that_refuses(self):
        url = self.pair.url_at(steady_port(), self.pair.primary.port)
        self.assertEqual(self.reached(url, "select pg_is_in_recovery() as r", "r"), ["false"])

    def test_the_primary_is_found(self):
        for ports in ([0, 1], [1, 0]):
            url = self.pair.url_at(*(self.pair.nodes[i].port for i in ports))
            self.assertEqual(self.reached(url, "select pg_is_in_recovery() as r", "r"), ["false"])

    def test_the_replica_is_preferred(self):
        url = self.pair.url_at(*(node.port for node in self.pair.nodes), target_session_attrs="prefer-standby")
        self.assertEqual(self.reached(url, "select pg_is_in_recovery() as r", "r"), ["true"])

    def test_unix_socket(self):
        node = self.pair.primary
        password = quote(self.password, safe="")
        url = f"postgres://{ROLE}:{password}@/{ROLE}?host={quote(node.folder, safe='')}&port={node.port}"
        self.assertEqual(self.reached(url, "select inet_server_port() is null as local", "local"), ["true"])

    def test_the_role(self):
        """No superuser, and it passes by no row-level security."""
        sql = "select rolsuper, rolbypassrls from pg_roles where rolname = current_user"
        self.assertEqual(self.reached(self.pair.url, sql, "rolsuper", "rolbypassrls"), ["false", "false"])


class Environment(Way):
    """libpq's variables and service files decide nothing: the URL does."""

    def test_the_url_alone(self):
        service = os.path.join(self.folder, "service")
        with open(service, "w", encoding="ascii") as out:
            out.write("[other]\nhost=nobody.invalid\nport=1\ndbname=other\noptions=-c search_path=other\n")
        self.variables = {
            "PGSERVICE": "other", "PGSERVICEFILE": service, "PGHOST": "nobody.invalid", "PGHOSTADDR": "127.0.0.2",
            "PGPORT": "1", "PGUSER": "nobody", "PGDATABASE": "other", "PGPASSWORD": "other", "PGPASSFILE": service,
            "PGOPTIONS": "-c search_path=other", "PGSSLMODE": "verify-full", "PGSSLROOTCERT": service,
            "PGTARGETSESSIONATTRS": "standby", "PGAPPNAME": "other", "PGTZ": "Asia/Tokyo"}
        sql = ("select current_user as u, current_setting('search_path') as p, current_setting('TimeZone') as z, "
               "current_setting('application_name') as n")
        with Single() as postgres:
            type(self).password = postgres.password
            self.assertEqual(self.reached(postgres.url, sql, "u", "p", "z", "n"),
                             [ROLE, '"$user", public', "UTC", "perigee"])


class Pooled(Way):
    def test_pgbouncer(self):
        with Single() as postgres, Bouncer(postgres) as bouncer:
            type(self).password = postgres.password
            for _ in range(3):
                self.assertEqual(self.reached(bouncer.url, "select current_user::text as u", "u"), [ROLE])


if __name__ == "__main__":
    main()
