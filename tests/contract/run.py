#!/usr/bin/env python3
"""run.py: runs the contract tests with the real binary: alone, then twice at once; embedded, then on real servers."""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import engines, postgres  # noqa: E402 pylint: disable=wrong-import-position
from lib.server import BINARY, PATIENT, ROOT, overrides  # noqa: E402 pylint: disable=wrong-import-position

DEADLINE_S = 300


# What each engine stands for; and what takes from others when it is not alone.
EMBEDDED_ROLES = ["documents", "cache", "search", "ledger", "carts", "read_through"]
REDIS_ROLES = ["cache", "redis", "carts", "read_through"]
GROUP_ROLES = ["cache", "carts", "read_through"]
POSTGRES_ROLES = ["ledger", "postgres"]
# What an administrator may have set, and nothing may depend on.
HABITS = ["datestyle = 'SQL, DMY'", "timezone = 'Asia/Kathmandu'", "bytea_output = 'escape'"]
ALONE = ["queue", "outbox"]


def start(folder, roles, settings):
    env = {**os.environ, **overrides(**PATIENT, data=folder, tenant_share_percent=100), **settings}
    return subprocess.Popen([BINARY, "script", os.path.join("tests", "contract", "run.lua"), *roles], cwd=ROOT,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)


def finish(process):
    """Returns (exit code, TAP lines, standard error); a run beyond the deadline has failed."""
    try:
        output, errors = process.communicate(timeout=DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
    return process.returncode, output.decode().splitlines(), errors.decode()


def together(count, roles, settings):
    """Runs count processes at once on one new folder."""
    folder = tempfile.mkdtemp(prefix="perigee-contract-")
    try:
        return [finish(process) for process in [start(folder, roles, settings) for _ in range(count)]]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Report:
    """One TAP stream of many runs."""

    def __init__(self):
        self.number = self.failures = 0

    def line(self, fine, text):
        self.number += 1
        self.failures += not fine
        print(f"{'ok' if fine else 'not ok'} {self.number} - {text}")

    def run(self, label, outcome):
        code, lines, errors = outcome
        for line in lines:
            if line.startswith(("ok ", "not ok ")):
                verdict, rest = line.split(" - ", 1)
                self.line(verdict.startswith("ok"), f"{label}: {rest}")
            elif line.startswith("#"):
                print(line)
        if code != 0 or not any(line.startswith("1..") for line in lines):
            self.line(False, f"{label}: the run ended with {code}")
            print("# " + errors.replace("\n", "\n# "))

    def engine(self, name, roles, settings, more=ALONE):
        for label, count, added in (("alone", 1, more), ("two at once", 2, [])):
            for outcome in together(count, roles + added, settings):
                self.run(f"{name}, {label}", outcome)


def migrate(report, settings):
    """Brings the schema up; a failure is reported."""
    outcome = finish(subprocess.Popen([BINARY, "migrate"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      env={**os.environ, **overrides(**PATIENT), **settings}))
    report.line(outcome[0] == 0, "postgres: perigee migrate")
    if outcome[0] != 0:
        print("# " + outcome[2].replace("\n", "\n# "))


def on_postgres(report):
    with postgres.any_single() as server:
        settings = {"PERIGEE_REDIS_URL": "", "PERIGEE_POSTGRES_URL": server.url}
        migrate(report, settings)
        report.engine("postgres", POSTGRES_ROLES, settings, ["outbox"])
    with postgres.Single(settings=HABITS) as server, postgres.Bouncer(server) as pooler:
        settings["PERIGEE_POSTGRES_URL"] = server.url
        migrate(report, settings)
        settings.update(PERIGEE_POSTGRES_URL=pooler.url, PERIGEE_POSTGRES_LISTEN_URL=server.url)
        report.engine("postgres behind pgbouncer", POSTGRES_ROLES, settings, ["outbox"])


def main():
    report = Report()
    report.engine("embedded", EMBEDDED_ROLES, {"PERIGEE_REDIS_URL": "", "PERIGEE_POSTGRES_URL": ""})
    if not engines.embedded_only():
        with engines.any_single() as redis:
            report.engine("redis", REDIS_ROLES, {"PERIGEE_REDIS_URL": redis.url})
            if "?" not in redis.url:
                report.engine("redis by RESP2", REDIS_ROLES, {"PERIGEE_REDIS_URL": redis.url + "?resp=2"})
        for name, group in (("Redis Cluster", engines.Cluster), ("Redis Sentinel", engines.Sentinels)):
            with group() as servers:
                report.engine(name, GROUP_ROLES, {"PERIGEE_REDIS_URL": servers.url})
        on_postgres(report)
    print(f"1..{report.number}")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
