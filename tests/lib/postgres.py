"""postgres.py: starts private PostgreSQL servers: a single one, with TLS or on a small filesystem, a primary with a
streaming replica, and pgbouncer before any of them.

Where they come from is as in engines.py, with PERIGEE_TEST_POSTGRES_URL for tests that need nothing but a URL. The
application's role owns its database and is no superuser, so that row-level security holds for it.
"""
import contextlib
import fcntl
import functools
import glob
import hashlib
import os
import secrets
import shutil
import socket
import sys
import tempfile
from urllib.parse import quote

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.engines import (NOBODY, EngineError, External, Group, Member, Native, make_certificates,  # noqa: E402
                         run, until)
from lib.pg import Pg, PgError  # noqa: E402

IMAGE = "postgres:15-bookworm"
# The same place in Debian and in the image.
PROGRAMS = max(glob.glob("/usr/lib/postgresql/*/bin"), default="/usr/lib/postgresql/15/bin",
               key=lambda path: int(path.split("/")[4]))
INITDB = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--wal-segsize=1", "--no-sync"]
ROLE = "perigee"
CACHE = os.environ.get("PERIGEE_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "perigee")


def program(name):
    return os.path.join(PROGRAMS, name)


class Node(Member):
    """One postgres, with its data in `data`. `lines` are settings that hold from the next start."""

    end = "QUIT"  # unlike SIGKILL it leaves no shared memory behind

    def __init__(self, group, name, lines):
        super().__init__(group, name)
        self.lines = lines
        self.data = os.path.join(self.folder, "data")

    def command(self):
        return [program("postgres"), "-D", self.data]

    def around(self, drop):
        return self.group.around(drop)

    def compose_lines(self):
        return self.group.compose_lines()

    def configure(self):
        if not os.path.exists(os.path.join(self.data, "PG_VERSION")):
            self.seed()
        self.write("postgresql.conf", [
            "listen_addresses = '127.0.0.1'", f"port = {self.port}", f"unix_socket_directories = '{self.folder}'",
            "shared_buffers = 16MB", "dynamic_shared_memory_type = mmap", "max_wal_size = 64MB", "min_wal_size = 8MB",
            "wal_keep_size = 64MB", "timezone = UTC", "log_timezone = UTC", "jit = off",
            "password_encryption = scram-sha-256", *self.lines()])
        self.write("pg_hba.conf", self.group.hba())

    def write(self, name, lines):
        with open(os.path.join(self.data, name), "w", encoding="utf-8") as out:
            out.write("\n".join(lines) + "\n")

    def seed(self):
        run(["cp", "-a", template(self), self.data])

    @property
    def socket(self):
        return os.path.join(self.folder, f".s.PGSQL.{self.port}")

    def client(self, database="postgres", user="postgres"):
        """A superuser's connection."""
        return Pg(self.socket, user, database)

    def query(self, sql, database="postgres"):
        with self.client(database) as client:
            return client.query(sql)

    def one(self, sql, database="postgres"):
        return self.query(sql, database)[0][0]

    def answers(self):
        try:
            return self.one("select 1") == "1"
        except (OSError, PgError):
            return False

    serves = answers

    def set(self, name, value=None):
        """Changes a setting while it runs; without a value it is again as in its file."""
        with self.client() as client:
            client.query(f"alter system set {name} = '{value}'" if value is not None else f"alter system reset {name}")
            client.query("select pg_reload_conf()")

    def end_sessions(self, what="true"):
        """As an administrator ends them: SQLSTATE 57P01."""
        return self.query("select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend'"
                          f" and pid <> pg_backend_pid() and ({what})")

    def forget(self):
        """Removes the shared memory of one that was killed and will not be started again."""
        with contextlib.suppress(OSError, IndexError, EngineError):
            with open(os.path.join(self.data, "postmaster.pid"), encoding="ascii") as source:
                run(["ipcrm", "-m", source.read().split("\n")[6].split()[1]])


def template(node):
    """A data folder as initdb makes it, made once by this version for all tests, and copied."""
    runner = node.group.runner
    version = run([program("postgres"), "-V"]) if isinstance(runner, Native) else IMAGE
    name = "postgres-" + hashlib.sha256(" ".join([version, *INITDB]).encode()).hexdigest()[:16]
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, name + ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready, made = os.path.join(CACHE, name), os.path.join(node.folder, "made")
        if not os.path.exists(ready):
            runner.tool(node, [program("initdb"), "-D", made, *INITDB])
            beside = tempfile.mkdtemp(prefix=name, dir=CACHE)
            run(["cp", "-a", made + "/.", beside])
            os.rename(beside, ready)
            shutil.rmtree(made)
    return ready


class Servers(Group):
    """What groups of PostgreSQL servers have in common: a password, access, the role and its database."""

    kind, image, programs = "postgres", IMAGE, (program("postgres"), program("initdb"))

    def __init__(self, tls=False, durable=False, settings=()):
        self.tls, self.durable, self.settings = tls, durable, list(settings)
        self.password = "a word, with: signs@" + secrets.token_hex(4)
        super().__init__()

    def file(self, name):
        return os.path.join(self.folder, name)

    def lines(self):
        lines = ["fsync = on" if self.durable else "fsync = off", *self.settings]
        if not self.durable:
            lines.append("full_page_writes = off")
        if self.tls:
            lines += ["ssl = on", f"ssl_cert_file = '{self.file('server.crt')}'",
                      f"ssl_key_file = '{self.file('server.key')}'"]
        return lines

    def hba(self):
        kind = "hostssl" if self.tls else "host"
        return ["local all postgres trust", "local replication postgres trust", "local all all scram-sha-256",
                f"{kind} all {ROLE} 127.0.0.1/32 scram-sha-256"]

    def around(self, drop):
        return drop

    def compose_lines(self):
        return []

    def add(self, name, lines=None):
        if self.tls and not os.path.exists(self.file("server.key")):
            make_certificates(self.folder)
            os.chmod(self.file("server.key"), 0o600)
        node = Node(self, name, lines or self.lines)
        self.nodes.append(node)
        return node

    def create(self, node):
        with node.client() as client:
            client.query(f"create role {ROLE} login password '{self.password}' nosuperuser nobypassrls")
            client.query(f"create database {ROLE} owner {ROLE}")

    def close(self):
        super_close = super().close
        for node in self.nodes:
            if hasattr(self, "runner") and not self.runner.running(node):
                node.forget()
        super_close()

    @property
    def options(self):
        return {"sslmode": "verify-full", "sslrootcert": self.file("ca.crt")} if self.tls else {}

    def url_at(self, *ports, **options):
        """The URL by way of these ports, such as a proxy's."""
        places = ",".join(f"127.0.0.1:{port}" for port in ports)
        tail = "&".join(f"{name}={quote(value, safe='/')}" for name, value in {**self.options, **options}.items())
        return f"postgres://{ROLE}:{quote(self.password, safe='')}@{places}/{ROLE}{'?' if tail else ''}{tail}"


class Single(Servers):
    """One server. `tls`: TCP with TLS only. `durable`: with fsync. `settings` are lines of postgresql.conf, such as
    "max_connections = 10"."""

    def start(self):
        self.node = self.add("postgres")
        self.node.first_start()
        self.create(self.node)

    @property
    def url(self):
        return self.url_at(self.node.port)

    def query(self, sql):
        """In the application's database, as a superuser."""
        return self.node.query(sql, ROLE)

    def one(self, sql):
        return self.node.one(sql, ROLE)


# How a filesystem of its own is put over a folder, by who may: root, in a namespace of the server alone; anybody, in a
# user namespace too (another one within gives root up again, which postgres insists on).
MOUNT = 'mount -t tmpfs -o size={size},mode=0700,uid={uid},gid={gid} tmpfs "{path}"'
AS_ROOT = ["unshare", "--mount", "sh", "-c", MOUNT + ' && exec "$@"', "sh"]
AS_ANYBODY = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
              MOUNT + ' && exec unshare --user --map-user=1 --map-group=1 -- "$@"', "sh"]


class NoSmallDisk(EngineError):
    """This machine lets nobody make a small filesystem."""


class SmallDisk(Single):
    """Its database is on a filesystem of 24 MB, which `fill` fills to the last page; the log of transactions is not, so
    that the server lives on and says 53100. The filesystem is a tmpfs: mounted in a namespace, or by Docker. Where
    neither may be, a /dev/shm that is small anyway serves, as containers have it."""

    size = 24 << 20

    def start(self):
        self.path = self.file("small")
        os.mkdir(self.path)
        self.prefix = [] if not isinstance(self.runner, Native) else self.namespace()
        super().start()

    def namespace(self):
        """The words that put the filesystem there, or none when another place was found."""
        words = AS_ROOT if os.geteuid() == 0 else AS_ANYBODY
        uid, gid = (NOBODY, NOBODY) if os.geteuid() == 0 else (0, 0)
        words = [word.format(size=self.size, uid=uid, gid=gid, path=self.path) for word in words]
        with contextlib.suppress(EngineError):
            run(words + ["true"])
            return words
        room = os.statvfs("/dev/shm")
        if room.f_blocks * room.f_frsize > 128 << 20:
            raise NoSmallDisk("no small filesystem is to be had: this user may neither mount a tmpfs (unshare --mount)"
                              " nor make a user namespace, and /dev/shm is larger than 128 MB")
        os.rmdir(self.path)
        self.path = tempfile.mkdtemp(prefix="perigee-postgres-", dir="/dev/shm")
        os.chown(self.path, NOBODY if os.geteuid() == 0 else -1, -1)
        return []

    def around(self, drop):
        return self.prefix + drop

    def compose_lines(self):
        user = os.geteuid() or NOBODY
        return [f'    tmpfs: ["{self.path}:size={self.size},mode=0700,uid={user}"]']

    def create(self, node):
        with node.client() as client:
            client.query(f"create tablespace small location '{self.path}'")
            client.query(f"create role {ROLE} login password '{self.password}' nosuperuser nobypassrls")
            client.query(f"create database {ROLE} owner {ROLE} tablespace small")

    def fill(self):
        """Writes until nothing more goes in. What lies in pages already can still be changed in place."""
        try:
            self.node.query("copy (select repeat('x', 1000) from generate_series(1, 1000000)) to"
                            f" '{self.path}/ballast'")
        except PgError as full:
            if full.sqlstate == "53100":
                return
            raise
        raise EngineError("the small filesystem is not small")

    def empty(self):
        self.node.query(f"copy (select 1 where false) to '{self.path}/ballast'")

    def close(self):
        super().close()
        if not self.path.startswith(self.folder):
            shutil.rmtree(self.path, ignore_errors=True)


class Replicated(Servers):
    """A primary and a replica that streams from it. `synchronous`: a commit is acknowledged when both have it on disk.
    `primary` and `replica` say who is what now."""

    def __init__(self, synchronous=False, **options):
        self.synchronous = synchronous
        self.primary = self.replica = None
        super().__init__(**options)

    def start(self):
        self.primary = self.add("postgres-a", self.primary_lines)
        self.primary.first_start()
        self.create(self.primary)
        self.replica = self.add("postgres-b")
        self.follow()

    def primary_lines(self):
        return self.lines() + ["hot_standby_feedback = on"]

    def follow(self):
        """Makes the replica anew from the primary, which from now on waits for it if they are synchronous."""
        shutil.rmtree(self.replica.data, ignore_errors=True)
        place = ["-h", self.primary.folder, "-p", str(self.primary.port), "-U", "postgres"]
        self.runner.tool(self.replica, [program("pg_basebackup"), *place, "-D", self.replica.data, "-R", "-c", "fast",
                                        "-X", "stream", "--no-sync"])
        self.replica.first_start()
        until(self.streams, "the replica streams")
        if self.synchronous:
            self.primary.set("synchronous_standby_names", "*")
            until(lambda: self.streams("sync"), "the replica is synchronous")

    def streams(self, state=None):
        rows = self.primary.query("select state, sync_state from pg_stat_replication")
        return any(row[0] == "streaming" and state in (None, row[1]) for row in rows)

    def caught_up(self):
        """Whether the replica has replayed what the primary has written."""
        written = self.primary.one("select pg_current_wal_lsn()")
        return self.replica.one(f"select pg_last_wal_replay_lsn() >= '{written}'") == "t"

    def hold_replay(self, held=True):
        """The replica still receives and confirms, but shows nothing new until it is let go."""
        self.replica.query(f"select pg_wal_replay_{'pause' if held else 'resume'}()")

    def promote(self):
        """The replica takes over from a primary that is gone; it waits for nobody then."""
        self.primary, self.replica = self.replica, self.primary
        self.primary.query("select pg_promote(true)")
        if self.synchronous:
            self.primary.set("synchronous_standby_names")

    def rejoin(self):
        """The old primary comes back as the replica."""
        self.replica.forget()
        self.follow()

    @property
    def url(self):
        """Both, whoever is the primary."""
        return self.url_at(self.nodes[0].port, self.nodes[1].port, target_session_attrs="read-write")

    @property
    def read_url(self):
        return self.url_at(self.nodes[0].port, self.nodes[1].port, target_session_attrs="prefer-standby")

    def query(self, sql):
        return self.primary.query(sql, ROLE)

    def one(self, sql):
        return self.primary.one(sql, ROLE)


class BouncerNode(Member):
    """pgbouncer in transaction mode. There is no image of it beside the server's: always the native program."""

    end = "QUIT"

    def __init__(self, group, target, pool):
        super().__init__(group, "pgbouncer")
        self.target, self.pool = target, pool

    def command(self):
        return [shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin"), self.file("pgbouncer.ini")]

    def file(self, name):
        return os.path.join(self.folder, name)

    def configure(self):
        lines = ["[databases]", f"{ROLE} = host=127.0.0.1 port={self.target} dbname={ROLE}", "[pgbouncer]",
                 "listen_addr = 127.0.0.1", f"listen_port = {self.port}", "unix_socket_dir =",
                 "pool_mode = transaction", f"default_pool_size = {self.pool}", "max_client_conn = 500",
                 "auth_type = scram-sha-256", f"auth_file = {self.file('users')}", "server_login_retry = 1",
                 "ignore_startup_parameters = extra_float_digits"]
        for name, text in (("pgbouncer.ini", lines), ("users", [f'"{ROLE}" "{self.group.password}"'])):
            with open(self.file(name), "w", encoding="utf-8") as out:
                out.write("\n".join(text) + "\n")

    def answers(self):
        with contextlib.suppress(OSError):
            with socket.create_connection(("127.0.0.1", self.port), 5):
                return True
        return False

    serves = answers


class Bouncer(Group):
    """pgbouncer before a server: what `url` of this and `url` of the server (for LISTEN) say together."""

    kind, programs = "pgbouncer", ()

    def __init__(self, server, pool=20):
        self.server, self.pool, self.password = server, pool, server.password
        super().__init__()

    def start(self):
        if not shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin"):
            raise EngineError("pgbouncer is missing: ./dev test and ./dev servers install it")
        self.runner = Native(self.folder, ())
        self.node = BouncerNode(self, self.server.node.port, self.pool)
        self.nodes.append(self.node)
        self.node.first_start()

    @property
    def url(self):
        return self.server.url_at(self.node.port, prepare="off")


def any_single():
    """A server for tests that need nothing but its URL."""
    url = os.environ.get("PERIGEE_TEST_POSTGRES_URL")
    return External(url) if url else Single()


def main(kinds):
    """For tests in other languages: prints the URL, and keeps the server until standard input ends."""
    with kinds[sys.argv[1] if len(sys.argv) > 1 else "single"]() as group:
        print(group.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main({"single": Single, "any": any_single, "tls": functools.partial(Single, tls=True), "pair": Replicated})
