"""engines.py: starts private servers; here Redis: a single one, a master with a replica and three Sentinels, a Cluster.

Where they come from, the first that holds: PERIGEE_TEST_REDIS_URL (for a single one only, and only for tests that need
nothing but its URL), Docker Compose if a Docker engine runs and has the image or can get it, the native program.
ENGINES=native or ENGINES=docker insists on one. Nothing is skipped: what cannot start raises. PostgreSQL is in
postgres.py.
"""
import contextlib
import functools
import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from urllib.parse import quote

from lib.resp import Resp, RespError

# Ceilings, not expectations.
START_S, STOP_S, SETTLE_S = 120, 60, 240
MASTER_NAME = "shop"
NOBODY = 65534


class EngineError(Exception):
    """An engine that a test needs cannot be had."""


def embedded_only():
    """Whether this is the explicit short run, without servers."""
    return os.environ.get("ENGINES") == "embedded"


def steady_port():
    """A free port below those that the kernel gives to clients: it is still free after a restart."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as source:
        low = int(source.read().split()[0])
    least, most = (10000, low - 1) if low > 15000 else (20000, 65000)
    while True:
        port = random.randint(least, most)
        with socket.socket() as probe:
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port


def run(argv, ceiling=SETTLE_S, **options):
    """Runs a tool to its end; what it printed, or an error with that."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=ceiling, check=False,
                          stdin=subprocess.DEVNULL, **options)
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode != 0:
        raise EngineError(f"{' '.join(argv)} ended with {done.returncode}:\n{text}")
    return text


def until(condition, what, seconds=SETTLE_S):
    """Polls; errors of servers that are not there yet count as no."""
    end = time.monotonic() + seconds
    while True:
        try:
            value = condition()
        except (OSError, RespError):
            value = None
        if value:
            return value
        if time.monotonic() > end:
            raise EngineError("did not happen: " + what)
        time.sleep(0.05)


class Native:
    """Runs nodes as children of this process. They end with the thread that started them, so start them on the main
    one."""

    def __init__(self, folder, programs):
        self.folder = folder
        self.processes, self.ends = {}, {}
        for program in (*programs, "setpriv"):
            if not shutil.which(program):
                raise EngineError(f"{program} is missing: ./dev test and ./dev servers install it")

    def drop(self, end="KILL"):
        """The words that give root up, and that end the program with us by this signal."""
        words = ["setpriv", "--pdeathsig", end]
        if os.geteuid() == 0:
            words += [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        return words + ["--"]

    def own(self):
        """Gives the files to who will read them. The group's other servers run, and remove some of theirs meanwhile."""
        if os.geteuid() == 0:
            for root, _, files in os.walk(self.folder):
                for path in [root, *(os.path.join(root, name) for name in files)]:
                    with contextlib.suppress(FileNotFoundError):
                        os.chown(path, NOBODY, NOBODY)

    def start(self, node):
        self.own()
        self.ends[node.name] = getattr(signal, "SIG" + node.end)
        with open(os.path.join(node.folder, "out"), "ab") as out:
            self.processes[node.name] = subprocess.Popen(node.around(self.drop(node.end)) + node.command(),
                                                         cwd=node.folder, stdout=out, stderr=out,
                                                         stdin=subprocess.DEVNULL)

    def running(self, node):
        process = self.processes.get(node.name)
        return process is not None and process.poll() is None

    def signal(self, node, number):
        """To the whole of a server that has children: the parent is stopped first, so that it makes no more of them."""
        pid = self.processes[node.name].pid
        if number in (signal.SIGSTOP, signal.SIGKILL):
            os.kill(pid, signal.SIGSTOP)
        family = children_of(pid)
        for member in [*family, pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, number)
        if number == signal.SIGKILL:
            until(lambda: all(is_gone(member) for member in family), node.name + "'s children end", STOP_S)

    def wait(self, node):
        self.finish(node.name)

    def finish(self, name):
        process = self.processes.pop(name)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def tool(self, _node, words):
        """Runs a program to its end as the servers' user."""
        self.own()
        return run(self.drop() + words, cwd=self.folder)

    def cli(self, *words):
        return run(["redis-cli", *words])

    def close(self):
        for name, process in self.processes.items():
            process.send_signal(self.ends[name])
            process.send_signal(signal.SIGCONT)  # one that is stopped hears nothing but SIGKILL
        for name in list(self.processes):
            self.finish(name)


class Compose:
    """Runs nodes as services of one Compose project on the host's network, with the folder at its own path."""

    def __init__(self, folder, image):
        self.folder, self.image, self.nodes = folder, image, {}
        self.file = os.path.join(folder, "compose.yaml")
        self.project = os.path.basename(folder).lower().replace("_", "-")

    def write(self):
        lines = ["services:"]
        for node in self.nodes.values():
            words = ", ".join(f'"{word}"' for word in node.command())
            # The user has a name where the server asks for one.
            lines += [f"  {node.name}:", f"    image: {self.image}", "    network_mode: host", "    init: false",
                      f'    user: "{os.geteuid() or NOBODY}:{os.getegid() or NOBODY}"',
                      f'    volumes: ["{self.folder}:{self.folder}", "/etc/passwd:/etc/passwd:ro"]',
                      f"    working_dir: {node.folder}", f"    entrypoint: [{words}]", *node.compose_lines()]
        with open(self.file, "w", encoding="utf-8") as out:
            out.write("\n".join(lines) + "\n")

    def compose(self, *words):
        return run(["docker", "compose", "-p", self.project, "-f", self.file, *words])

    def start(self, node):
        self.nodes[node.name] = node
        self.write()
        Native.own(self)
        self.compose("up", "-d", "--no-deps", node.name)

    def running(self, node):
        return node.name in self.compose("ps", "--status", "running", "--services").split()

    def signal(self, node, number):
        verb = {signal.SIGSTOP: ["pause"], signal.SIGCONT: ["unpause"]}
        self.compose(*verb.get(number, ["kill", "-s", signal.Signals(number).name]), node.name)

    def wait(self, node):
        until(lambda: not self.running(node), node.name + " ends", STOP_S)

    def tool(self, node, words):
        self.nodes[node.name] = node
        self.write()
        Native.own(self)
        return self.compose("run", "--rm", "--no-deps", "-T", "--entrypoint", words[0], node.name, *words[1:])

    def cli(self, *words):
        return self.compose("exec", "-T", next(iter(self.nodes)), "redis-cli", *words)

    def close(self):
        if self.nodes:
            self.compose("down", "--timeout", "0", "--volumes")
            self.nodes = {}


def children_of(pid):
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as source:
            return [int(word) for word in source.read().split()]
    return []


def is_gone(pid):
    """Whether it has ended, be it that nobody has asked for its end yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as source:
            return source.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@functools.lru_cache(maxsize=None)
def docker_serves(image):
    """Whether Compose can run the image here. A running engine without the image and without a way to it does not."""
    if not shutil.which("docker"):
        return False
    with contextlib.suppress(EngineError, subprocess.TimeoutExpired):
        run(["docker", "info"], 30)
        run(["docker", "compose", "version"], 30)
        try:
            run(["docker", "image", "inspect", image], 30)
        except EngineError:
            run(["docker", "pull", "--quiet", image], 600)
        return True
    return False


def runner(folder, image, programs):
    wanted = os.environ.get("ENGINES", "")
    if wanted not in ("", "native", "docker"):
        raise EngineError(f"ENGINES={wanted}: a test that needs a server cannot run; native and docker have them")
    if wanted == "docker" and not docker_serves(image):
        raise EngineError(f"ENGINES=docker, but Docker Compose cannot run {image} here")
    docker = wanted == "docker" or (not wanted and docker_serves(image))
    return Compose(folder, image) if docker else Native(folder, programs)


class Member:
    """A server of a group, with a folder and a port of its own. Subclasses say `command`, `configure` (writes its
    files), `answers` (whether it speaks at all) and `serves`."""

    end = "KILL"  # the signal that ends it for good

    def __init__(self, group, name):
        self.group, self.name = group, name
        self.folder = os.path.join(group.folder, name)
        os.mkdir(self.folder)
        self.port = steady_port()

    def around(self, drop):
        """The words before its command; `drop` gives root up."""
        return drop

    def compose_lines(self):
        return []

    def log(self):
        text = ""
        for name in ("out", "log"):
            with contextlib.suppress(OSError):
                with open(os.path.join(self.folder, name), encoding="utf-8", errors="replace") as source:
                    text += source.read()
        return text

    def first_start(self):
        """On another port when this one was taken meanwhile."""
        for _ in range(20):
            self.configure()
            self.group.runner.start(self)
            end = time.monotonic() + START_S
            while self.group.runner.running(self) and time.monotonic() < end:
                if self.answers():
                    return
                time.sleep(0.02)
            if "Address already in use" not in self.log():
                break
            self.group.runner.wait(self)
            self.port = steady_port()
        raise EngineError(f"{self.name} did not start:\n{self.log()[-3000:]}")

    def start(self, loaded=True):
        """Again, on the same port, with what it has on disk. `loaded`: not before it serves."""
        self.group.runner.start(self)
        if loaded:
            until(self.serves, self.name + " serves again", START_S)

    def pause(self):
        self.group.runner.signal(self, signal.SIGSTOP)

    def resume(self):
        self.group.runner.signal(self, signal.SIGCONT)

    def kill(self):
        """SIGKILL, and gone when this returns."""
        self.group.runner.signal(self, signal.SIGKILL)
        self.group.runner.wait(self)


class Node(Member):
    """One redis-server, or a Sentinel."""

    def __init__(self, group, name, lines, sentinel=False, **access):
        super().__init__(group, name)
        self.sentinel, self.lines, self.access = sentinel, lines, access

    def command(self):
        words = ["redis-server", os.path.join(self.folder, "redis.conf")]
        return words + ["--sentinel"] if self.sentinel else words

    def configure(self):
        lines = ["daemonize no", "bind 127.0.0.1", f"dir {self.folder}", f"logfile {self.folder}/log"]
        if not self.sentinel:
            lines += ['save ""', "enable-debug-command local"]
        lines += ["port 0", f"tls-port {self.port}"] if "ca" in self.access else [f"port {self.port}"]
        with open(os.path.join(self.folder, "redis.conf"), "w", encoding="utf-8") as out:
            out.write("\n".join(lines + self.lines()) + "\n")

    def client(self):
        return Resp(self.port, **self.access)

    def call(self, *words):
        with self.client() as client:
            return client.call(*words)

    def answers(self):
        """Whether it speaks at all; while it loads its data it answers with an error, which counts."""
        try:
            self.call("PING")
        except RespError:
            return True
        except OSError:
            return False
        return True

    def follows(self):
        """Whether it is a replica that has its master's data."""
        with self.client() as client:
            info = client.info("replication")
        return info["role"] == "slave" and info["master_link_status"] == "up"

    def serves(self):
        return self.call("PING") == b"PONG"


class Group:
    """Nodes with one temporary folder; a context manager that stops them all and removes it."""

    kind, image, programs = "redis", "redis:7.0-bookworm", ("redis-server", "redis-cli")

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix=f"perigee-{self.kind}-")
        self.nodes = []
        try:
            self.runner = runner(self.folder, self.image, self.programs)
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self):
        raise NotImplementedError

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if hasattr(self, "runner"):
            self.runner.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def make_certificates(folder):
    """ca.crt, and server.crt with server.key for 127.0.0.1 and localhost, and client.crt with client.key."""
    def path(name):
        return os.path.join(folder, name)

    def key_and(*words):
        run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", *words])

    key_and("-x509", "-days", "30", "-subj", "/CN=test authority", "-keyout", path("ca.key"), "-out", path("ca.crt"))
    with open(path("san"), "w", encoding="ascii") as out:
        out.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    for name in ("server", "client"):
        key_and("-subj", "/CN=" + name, "-keyout", path(name + ".key"), "-out", path(name + ".csr"))
        run(["openssl", "x509", "-req", "-days", "30", "-in", path(name + ".csr"), "-CA", path("ca.crt"), "-CAkey",
             path("ca.key"), "-CAcreateserial", "-extfile", path("san"), "-out", path(name + ".crt")])


class Guard:
    """Who comes in, and how. `password` is the default user's; `user` and `password` together make an ACL user with
    these `rules`. `tls` listens with TLS only. `keeper`: the default user may nothing, and the servers themselves and
    the test come by a user of this name, who may everything."""

    def __init__(self, folder, password=None, user=None, rules="~* &* +@all", tls=False, keeper=None):
        self.folder, self.password, self.user, self.rules, self.tls = folder, password, user, rules, tls
        self.keeper = keeper
        if tls:
            make_certificates(folder)

    def file(self, name):
        return os.path.join(self.folder, name)

    def access(self):
        """What a client of the test needs."""
        access = {"ca": self.file("ca.crt")} if self.tls else {}
        if self.password:
            access.update({"password": self.password, "user": self.keeper or self.user})
        return access

    def tls_lines(self):
        return [f"tls-cert-file {self.file('server.crt')}", f"tls-key-file {self.file('server.key')}",
                f"tls-ca-cert-file {self.file('ca.crt')}", "tls-auth-clients optional"] if self.tls else []

    def group_lines(self):
        """What servers that speak to each other need as well."""
        lines = ["tls-replication yes"] if self.tls else []
        return lines + ([f"masteruser {self.keeper}", f'masterauth "{self.password}"'] if self.keeper else [])

    def lines(self):
        digest, lines = hashlib.sha256((self.password or "").encode()).hexdigest(), []
        if self.user:
            lines += ["user default off", f"user {self.user} on #{digest} {self.rules}"]
        elif self.password:
            lines += [f'requirepass "{self.password}"']
        if self.keeper:
            lines += [f"user {self.keeper} on #{digest} ~* &* +@all"]
        return lines + self.tls_lines()

    def cli_words(self):
        words = ["--tls", "--cacert", self.file("ca.crt")] if self.tls else []
        return words + (["--user", self.keeper, "--pass", self.password, "--no-auth-warning"] if self.keeper else [])

    @property
    def scheme(self):
        return "rediss" if self.tls else "redis"

    @property
    def login(self):
        if not self.password:
            return ""
        return f"{quote(self.user or '', safe='')}:{quote(self.password, safe='')}@"

    def options(self, **more):
        """The URL's."""
        words = {"ca": self.file("ca.crt"), **more} if self.tls else more
        tail = "&".join(f"{key}={quote(value, safe='/')}" for key, value in words.items())
        return "?" + tail if tail else ""


class Single(Group):
    """One server behind a Guard. `unix` listens on a Unix socket as well (see unix_url). `maxmemory` is in bytes,
    without eviction. `durable` writes every command to disk before it answers."""

    def __init__(self, unix=False, maxmemory=0, durable=False, settings=(), **guard):
        self.unix, self.maxmemory, self.durable, self.settings = unix, maxmemory, durable, list(settings)
        self.guard_options = guard
        super().__init__()

    def start(self):
        self.guard = Guard(self.folder, **self.guard_options)
        self.node = Node(self, "redis", self.lines, **self.guard.access())
        self.nodes = [self.node]
        self.node.first_start()

    def lines(self):
        lines = self.settings + self.guard.lines()
        if self.unix:
            lines += [f"unixsocket {self.guard.file('redis.sock')}", "unixsocketperm 777"]
        if self.maxmemory:
            lines += [f"maxmemory {self.maxmemory}", "maxmemory-policy noeviction"]
        return lines + (["appendonly yes", "appendfsync always"] if self.durable else [])

    def url_at(self, port):
        """The URL by way of another port, such as a proxy's."""
        return f"{self.guard.scheme}://{self.guard.login}127.0.0.1:{port}{self.guard.options()}"

    @property
    def url(self):
        return self.url_at(self.node.port)

    @property
    def unix_url(self):
        return f"unix://{self.guard.login}{self.guard.file('redis.sock')}"


class External:
    """The server of PERIGEE_TEST_REDIS_URL: has a URL, and stays as it is."""

    def __init__(self, url):
        self.url = url

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        pass


def any_single():
    """A server for tests that need nothing but its URL."""
    url = os.environ.get("PERIGEE_TEST_REDIS_URL")
    return External(url) if url else Single()


class Sentinels(Group):
    """A master, a replica and three Sentinels, which take the master for dead after five silent seconds: a
    busy machine must not make them elect unasked. They have a Guard; `sentinel_password` is the Sentinels' own."""

    def __init__(self, sentinel_password=None, **guard):
        self.sentinel_password, self.guard_options = sentinel_password, guard
        super().__init__()

    def start(self):
        self.guard = Guard(self.folder, **self.guard_options)
        access = self.guard.access()
        self.master = self.add("redis-a", self.lines, **access)
        self.replica = self.add("redis-b", lambda: self.lines() + [f"replicaof 127.0.0.1 {self.master.port}"], **access)
        access = {key: value for key, value in access.items() if key == "ca"}
        if self.sentinel_password:
            access["password"] = self.sentinel_password
        self.sentinels = [self.add(f"sentinel-{n}", self.sentinel_lines, sentinel=True, **access) for n in "abc"]
        until(self.settled, "the Sentinels know each other and the replica follows")

    def add(self, name, lines, **options):
        node = Node(self, name, lines, **options)
        self.nodes.append(node)
        node.first_start()
        return node

    def lines(self):
        return self.guard.lines() + self.guard.group_lines()

    def sentinel_lines(self):
        lines = self.guard.tls_lines() + (["tls-replication yes"] if self.guard.tls else [])
        if self.sentinel_password:
            lines += [f'requirepass "{self.sentinel_password}"', f'sentinel sentinel-pass "{self.sentinel_password}"']
        lines += self.monitor_lines()
        if self.guard.keeper:
            lines += [f"sentinel auth-user {MASTER_NAME} {self.guard.keeper}",
                      f'sentinel auth-pass {MASTER_NAME} "{self.guard.password}"']
        return lines

    def monitor_lines(self):
        return [f"sentinel monitor {MASTER_NAME} 127.0.0.1 {self.master.port} 2",
                f"sentinel down-after-milliseconds {MASTER_NAME} 5000",
                f"sentinel failover-timeout {MASTER_NAME} 10000"]

    def settled(self):
        """They all know each other, and one master with one replica that follows it."""
        for node in self.sentinels:
            words = node.call("SENTINEL", "MASTER", MASTER_NAME)
            known = dict(zip(words[::2], words[1::2]))
            if known[b"num-other-sentinels"] != b"2" or known[b"num-slaves"] != b"1" or known[b"flags"] != b"master":
                return False
        port = self.master_port()
        return any(node.follows() for node in (self.master, self.replica) if node.port != port)

    def master_port(self):
        """What the Sentinels say, once two of them agree; else None."""
        said = []
        for node in self.sentinels:
            with contextlib.suppress(OSError, RespError):
                said.append(int(node.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME)[1]))
        return next((port for port in said if said.count(port) >= 2), None)

    @property
    def url(self):
        places = ",".join(f"127.0.0.1:{node.port}" for node in self.sentinels)
        more = {"sentinel_password": self.sentinel_password} if self.sentinel_password else {}
        return f"{self.guard.scheme}+sentinel://{self.guard.login}{places}/{MASTER_NAME}{self.guard.options(**more)}"


class Cluster(Group):
    """Six nodes behind a Guard: three masters with a replica each. A silent master is replaced after ten seconds: a
    busy machine must not make them elect unasked."""

    def __init__(self, **guard):
        self.guard_options = guard
        super().__init__()

    def start(self):
        self.guard = Guard(self.folder, **self.guard_options)
        for n in range(6):
            node = Node(self, f"node-{n}", lambda bus=steady_port(): self.lines(bus), **self.guard.access())
            self.nodes.append(node)
            node.first_start()
        places = [f"127.0.0.1:{node.port}" for node in self.nodes]
        self.cli("create", *places, "--cluster-replicas", "1")
        until(self.settled, "the Cluster is whole")

    def cli(self, *words):
        self.runner.cli(*self.guard.cli_words(), "--cluster", *words, "--cluster-yes")

    def lines(self, bus):
        lines = ["cluster-enabled yes", f"cluster-port {bus}", "cluster-node-timeout 10000",
                 "cluster-config-file nodes.conf"] + (["tls-cluster yes"] if self.guard.tls else [])
        return lines + self.guard.lines() + self.guard.group_lines()

    def settled(self):
        """Every node sees a whole Cluster of six, and every replica follows its master."""
        for node in self.nodes:
            with node.client() as client:
                state = client.call("CLUSTER", "INFO").decode()
                role = client.info("replication")
            if "cluster_state:ok" not in state or "cluster_known_nodes:6" not in state:
                return False
            if role["role"] == "slave" and role["master_link_status"] != "up":
                return False
        return len(self.masters()) == 3

    def masters(self):
        """The nodes that serve slots now, as the first that answers sees it."""
        for node in self.nodes:
            with contextlib.suppress(OSError, RespError):
                ports = {entry[2][1] for entry in node.call("CLUSTER", "SLOTS")}
                return [other for other in self.nodes if other.port in ports]
        return []

    def replicas(self):
        masters = self.masters()
        return [node for node in self.nodes if node not in masters]

    def replica_of(self, master):
        """The replica that follows a master now."""
        def found():
            for node in self.replicas():
                with contextlib.suppress(OSError), node.client() as client:
                    info = client.info("replication")
                if info["role"] == "slave" and int(info["master_port"]) == master.port \
                        and info["master_link_status"] == "up":
                    return node
            return None
        return until(found, "a replica follows")

    def owner(self, key):
        """The master of a key's slot."""
        first = self.nodes[0]
        slot = first.call("CLUSTER", "KEYSLOT", key)
        for entry in first.call("CLUSTER", "SLOTS"):
            if entry[0] <= slot <= entry[1]:
                return next(node for node in self.nodes if node.port == entry[2][1])
        raise EngineError(f"nobody serves slot {slot}")

    def slots_of(self, node):
        """How many slots a master serves, as it sees it."""
        return sum(last - first + 1 for first, last, (_, port, *_), *_ in node.call("CLUSTER", "SLOTS")
                   if port == node.port)

    def reshard(self, source, target, slots):
        """Moves slots from one master to another, keys and all, while they serve."""
        ids = [node.call("CLUSTER", "MYID").decode() for node in (source, target)]
        self.cli("reshard", f"127.0.0.1:{source.port}", "--cluster-from", ids[0], "--cluster-to", ids[1],
                 "--cluster-slots", str(slots))

    @property
    def url(self):
        places = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"{self.guard.scheme}+cluster://{self.guard.login}{places}{self.guard.options()}"
