"""server.py: starts the real binary on a free port and a temporary data folder, and stops it by its own pid."""
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.path.abspath(os.environ.get("PERIGEE_BIN", os.path.join(ROOT, "build", "perigee")))
# Ceilings, not expectations: a busy machine under sanitizers stays far below.
START_S, STOP_S = 120, 120
# A busy machine under sanitizers is slow, and no test's subject: those that ask for the limits set their own.
PATIENT = {"redis_connect_ms": 20000, "redis_command_ms": 20000,
           "postgres_connect_ms": 20000, "postgres_query_ms": 20000}


def overrides(**settings):
    """Settings as the environment's variables."""
    return {"PERIGEE_" + key.upper(): str(value) for key, value in settings.items()}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(condition, what, seconds=60):
    """Polls until condition() is true; fails with what, a text or a function that says it then."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("did not happen: " + (what() if callable(what) else what))
        time.sleep(0.02)


def is_worker(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as source:
            return source.read().split(b"\0")[1:2] == [b"worker"]
    except OSError:
        return False


def has_ended(pid):
    """Whether it and its threads have let go of everything; who adopted it may not have noticed yet."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as source:
            state = source.read().rsplit(b") ", 1)[1][:1]
        return state in b"ZX" and len(os.listdir(f"/proc/{pid}/task")) <= 1
    except OSError:
        return True


class Server:
    """One `perigee serve` with the demo configuration; keyword arguments become PERIGEE_<KEY> overrides."""

    def __init__(self, tenants=None, scripts=None, data=None, **settings):
        self.folder = tempfile.mkdtemp(prefix="perigee-test-")
        self.data = data or os.path.join(self.folder, "data")
        os.makedirs(self.data, exist_ok=True)
        self.tenants = tenants or self.copy("tenants")
        self.scripts = scripts or self.copy("scripts")
        self.port = settings.pop("port", None) or free_port()
        self.settings = {"request_ms": 60000, "stuck_ms": 30000, "hold_ms": 10000, **PATIENT, **settings}
        if os.environ.get("PERIGEE_SANITIZED"):
            # AddressSanitizer keeps what is freed: a trial of many editions would run out of its address space.
            self.settings.setdefault("trial_memory_bytes", 4 * 1024**3)
        self.process = None
        self.log_path = os.path.join(self.folder, "log")

    def copy(self, name):
        target = os.path.join(self.folder, name)
        shutil.copytree(os.path.join(ROOT, name), target)
        return target

    def environment(self):
        env = {key: value for key, value in os.environ.items() if not key.startswith("PERIGEE_")}
        env.update(PERIGEE_PORT=str(self.port), PERIGEE_DATA=self.data, PERIGEE_TENANTS=self.tenants,
                   PERIGEE_SCRIPTS=self.scripts)
        env.update(overrides(**self.settings))
        return env

    def command(self, *arguments):
        return [BINARY, *arguments, "--config", os.path.join(ROOT, "demo", "perigee.conf")]

    def run(self, *arguments, timeout=300, **options):
        """Runs another command of the binary on the same folders and waits for it."""
        return subprocess.run(self.command(*arguments), env=self.environment(), cwd=self.folder, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, check=False, **options)

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command("serve"), env=self.environment(), cwd=self.folder,
                                            stdout=subprocess.PIPE, stderr=log)
        self.await_listening()
        return self

    def await_listening(self):
        out, seen, end = self.process.stdout, b"", time.monotonic() + START_S
        while b"listening" not in seen:
            ready = select.select([out], [], [], max(0, end - time.monotonic()))[0]
            piece = os.read(out.fileno(), 65536) if ready else b""
            if not piece:
                self.kill()
                raise AssertionError("the server did not start:\n" + seen.decode() + self.log())
            seen += piece

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as source:
                return source.read()
        except FileNotFoundError:
            return ""

    def worker_pids(self):
        """The workers that have started; a trial is a child of the master too."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as source:
            return [int(pid) for pid in source.read().split() if is_worker(pid)]

    def stop(self):
        """SIGTERM; returns the exit code."""
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("the server did not stop:\n" + self.log()[-4000:]) from None
        self.process.stdout.close()
        self.process = None
        return code

    def kill(self):
        if self.process is not None:
            self.process.kill()  # the workers see their master go and end
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    def kill_all(self):
        """kill -9 of the master and its workers at once; they are gone on return, and so is their port."""
        self.process.send_signal(signal.SIGSTOP)  # or it would replace the first that dies
        pids = self.worker_pids()
        for pid in (*pids, self.process.pid):
            os.kill(pid, signal.SIGKILL)
        self.kill()
        for pid in pids:
            eventually(lambda worker=pid: has_ended(worker), "a killed worker ends")

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)
