#!/usr/bin/env python3
"""servers.py: keeps private servers for a developer: starts them in the background, says how to reach them, stops them.

A keeper process starts them and waits; they end with it. Its folder (the argument) holds `keeper` (its pid and what it
keeps), `exports` (lines for a shell) and `log`.
"""
import contextlib
import fcntl
import os
import shlex
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lib import engines, postgres  # noqa: E402

# Of Redis; PostgreSQL is beside each, with fsync.
KINDS = {"single": engines.Single, "sentinel": engines.Sentinels, "cluster": engines.Cluster}
CEILING_S = 600


def path(folder, name):
    return os.path.join(folder, name)


def read(folder, name):
    try:
        with open(path(folder, name), encoding="utf-8") as source:
            return source.read()
    except FileNotFoundError:
        return ""


def kept(folder):
    """(pid, kind) of the keeper, or None. It holds a lock while it lives: a pid alone could be another's by now."""
    try:
        with open(path(folder, "keeper"), encoding="ascii") as source:
            try:
                fcntl.flock(source, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                words = source.read().split()
                return (int(words[0]), words[1]) if len(words) == 2 else None
    except FileNotFoundError:
        pass
    return None


def lock_as_keeper(folder):
    """The open file, or None while another keeper has it. Those who only look hold it for a moment."""
    lock = open(path(folder, "keeper"), "a+", encoding="ascii")
    for _ in range(40):
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        time.sleep(0.05)
    lock.close()
    return None


def keep(folder, kind):
    """The keeper: runs the servers until SIGTERM."""
    lock = lock_as_keeper(folder)
    if lock is None:
        print("servers: they are being started already", file=sys.stderr)
        return 1
    lock.truncate(0)
    lock.write(f"{os.getpid()} {kind}")
    lock.flush()
    stop = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    try:
        with KINDS[kind]() as redis, postgres.Single(durable=True) as database:
            with open(path(folder, "beside"), "w", encoding="utf-8") as out:
                out.write(f"export PERIGEE_REDIS_URL={shlex.quote(redis.url)}\n")
                out.write(f"export PERIGEE_POSTGRES_URL={shlex.quote(database.url)}\n")
            os.replace(path(folder, "beside"), path(folder, "exports"))
            signal.sigwait(stop)
    except engines.EngineError as error:
        print(f"servers: {error}", file=sys.stderr)
        return 1
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(path(folder, "exports"))
    return 0


def start(folder, kind):
    if kind not in KINDS:
        print(f"servers: there is no {kind}, only {', '.join(KINDS)}", file=sys.stderr)
        return 2
    os.makedirs(folder, exist_ok=True)
    known = kept(folder)
    if known and known[1] != kind:
        print(f"servers: {known[1]} is running; ./dev servers stop ends it", file=sys.stderr)
        return 1
    if known is None:
        with open(path(folder, "log"), "w", encoding="utf-8") as log:
            keeper = subprocess.Popen([sys.executable, os.path.abspath(__file__), folder, "keep", kind], stdout=log,
                                      stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        end = time.monotonic() + CEILING_S
        while not read(folder, "exports"):
            if keeper.poll() is not None or time.monotonic() > end:
                print(read(folder, "log"), end="", file=sys.stderr)
                return 1
            time.sleep(0.05)
    print(read(folder, "exports"), end="")
    return 0


def run_with(folder, kind, *command):
    """Runs a command with the exports in its environment; servers that were not there before end with it."""
    ours = kept(folder) is None
    code = start(folder, kind)
    if code:
        return code
    try:
        for line in read(folder, "exports").splitlines():
            name, value = shlex.split(line)[1].split("=", 1)
            os.environ[name] = value
        child = subprocess.Popen(command)
        # A terminal interrupts the command as well; SIGTERM comes here alone.
        signal.signal(signal.SIGINT, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        return child.wait()
    finally:
        if ours:
            stop(folder)


def stop(folder):
    known = kept(folder)
    if known is None:
        print("servers: none are running", file=sys.stderr)
        return 0
    os.kill(known[0], signal.SIGTERM)
    end = time.monotonic() + CEILING_S
    while kept(folder) == known:
        if time.monotonic() > end:
            print(f"servers: the keeper {known[0]} does not end; see {path(folder, 'log')}", file=sys.stderr)
            return 1
        time.sleep(0.05)
    return 0


def main(argv):
    folder, command, rest = argv[0], argv[1], argv[2:]
    if command == "running":
        return 0 if kept(folder) and read(folder, "exports") else 1
    if command == "stop":
        return stop(folder)
    return {"start": start, "keep": keep, "with": run_with}[command](folder, *rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
