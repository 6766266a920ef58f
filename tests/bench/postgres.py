#!/usr/bin/env python3
"""postgres.py: what PostgreSQL costs: a point read in the driver, and twenty of them in one request.

As run.py does it: the server's core and the load's core, interleaved rounds, medians. The database shares the load's
core. Names: queries, reads; both when none is given.
"""
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.path.insert(0, HERE)
import run as bench  # noqa: E402
from lib import postgres  # noqa: E402
from lib.server import Server  # noqa: E402

FLIGHTS = (1, 20, 64)
QUERIES = int(os.environ.get("BENCH_QUERIES", "40000"))
PROGRAM = os.path.join(bench.ROOT, "build", "bench_postgres")
READS = 20
TENANT = "00000000-0000-7000-8000-000000000000"
TABLES = f"""
create table bench_points (id bigint primary key, name text not null, price numeric(12, 2) not null);
insert into bench_points select n, 'Product ' || n, n * 1.01 from generate_series(1, 1000) n;
create table bench_rows (id bigint, tenant_id uuid not null, name text not null, price numeric(12, 2) not null,
  primary key (id, tenant_id));
insert into bench_rows select n, '{TENANT}', 'Product ' || n, n * 1.01 from generate_series(1, 1000) n;
alter table bench_rows enable row level security;
alter table bench_rows force row level security;
create policy fence on bench_rows using (tenant_id = current_setting('perigee.tenant', true)::uuid);
grant select on bench_points, bench_rows to public;
analyze;
"""


class Postgres(postgres.Single):
    """A private server on the load's core, with a small cache that holds it all."""

    def start(self):
        super().start()
        for statement in TABLES.split(";\n"):
            if statement.strip():
                self.query(statement)
        subprocess.run(["taskset", "-acp", bench.LOAD_CORE, str(self.postmaster)], check=True,
                       stdout=subprocess.DEVNULL)

    @property
    def postmaster(self):
        with open(os.path.join(self.one("show data_directory"), "postmaster.pid"), encoding="ascii") as source:
            return int(source.readline())

    def backends(self):
        """The processes that answer the application's connections."""
        answer = self.one("select string_agg(pid::text, ' ') from pg_stat_activity "
                          f"where backend_type = 'client backend' and usename = '{postgres.ROLE}'")
        return [int(pid) for pid in (answer or "").split()]


def spread(values):
    return f"{statistics.median(values):6.2f} ({min(values):.2f} to {max(values):.2f})"


def count_of(flight):
    """One at a time is slow."""
    return QUERIES // 8 if flight <= 1 else QUERIES


def driver(server, flight):
    """Microseconds of this side's processor time per query; 0 in flight: libpq alone."""
    argv = ["taskset", "-c", bench.SERVER_CORE, PROGRAM, server.url, str(flight), str(count_of(flight))]
    return float(subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout.split()[0])


def pgbench(server, script):
    """The same of pgbench -M prepared with one connection."""
    count = count_of(1)
    argv = ["taskset", "-c", bench.SERVER_CORE, postgres.program("pgbench"), "-n", "-M", "prepared", "-f", script,
            "-c", "1", "-t", str(count), server.url]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        raise SystemExit("void: pgbench failed")
    return (usage.ru_utime + usage.ru_stime) * 1e6 / count


def queries():
    with Postgres() as server, tempfile.TemporaryDirectory(prefix="perigee-bench-") as folder:
        script = os.path.join(folder, "point.sql")
        with open(script, "w", encoding="ascii") as target:
            target.write("\\set n random(1, 1000)\nselect id, name, price from bench_points where id = :n;\n")
        rows = {flight: [] for flight in (*FLIGHTS, 0, "pgbench", "again")}
        for _ in range(bench.ROUNDS):
            for flight in (*FLIGHTS, 0):
                rows[flight].append(driver(server, flight))
            rows["pgbench"].append(pgbench(server, script))
            rows["again"].append(driver(server, FLIGHTS[-1]))
        for flight in FLIGHTS:
            print(f"{'queries-' + str(flight):14} {spread(rows[flight])} us/query", flush=True)
        print(f"{'':14} PQexecPrepared {spread(rows[0])}, pgbench -M prepared {spread(rows['pgbench'])}, "
              f"A/A {statistics.median(rows[FLIGHTS[-1]]) / statistics.median(rows['again']):.2f}", flush=True)


class Reader(bench.Perigee):
    """A server whose handlers read twenty rows."""

    def __init__(self, folder, url):
        scripts = os.path.join(folder, "scripts")
        shutil.copytree(os.path.join(HERE, "postgres"), scripts)
        shutil.copytree(os.path.join(bench.ROOT, "scripts", "lib"), os.path.join(scripts, "lib"))
        tenants = os.path.join(folder, "tenants")
        shutil.copytree(os.path.join(bench.ROOT, "tenants", "_default"), os.path.join(tenants, "_default"))
        shutil.copytree(os.path.join(HERE, "rules"), os.path.join(tenants, "bench0"))
        super().__init__(Server(tenants=tenants, scripts=scripts, requests_max=1000000, postgres_url=url))


def read_cost(reader, server, path):
    """One round: microseconds of the server's and of the database's processor per request."""
    pids = server.backends()
    before, theirs = bench.cpu_us(reader.pids), bench.cpu_us(pids)
    requests = bench.load(reader, path)[0]
    if not requests:
        raise SystemExit(f"void: {path} answered nothing in a whole round")
    return (bench.cpu_us(reader.pids) - before) / requests, (bench.cpu_us(pids) - theirs) / requests


WAYS = ("/in-turn", "/wait-all", "/batch")


def reads():
    """Twenty rows behind row-level security in one request: one after another, side by side, and in one segment."""
    with Postgres() as server, tempfile.TemporaryDirectory(prefix="perigee-bench-") as folder:
        reader = Reader(folder, server.url)
        try:
            expected = bench.body_of(reader, "/none", None)
            rows = {path: [] for path in WAYS}
            for path in WAYS:
                if bench.body_of(reader, path, None) != expected:
                    raise SystemExit(f"void: {path} answers something else")
            for _ in range(bench.ROUNDS):
                for path in WAYS:
                    rows[path].append(read_cost(reader, server, path))
        finally:
            reader.stop()
    report_reads(rows)


def report_reads(rows):
    for path in WAYS:
        ratios = [(a[0] / b[0], a[1] / b[1], sum(a) / sum(b)) for a, b in zip(rows[path], rows[WAYS[0]])]
        ours, theirs, both = (statistics.median(ratio[i] for ratio in ratios) for i in range(3))
        server, database = (spread([row[i] for row in rows[path]]) for i in range(2))
        print(f"{'reads' + path.replace('/', '-'):14} {server} us/request of the server, {database} of the database; "
              f"beside one after another {ours:.2f}, {theirs:.2f}, together {both:.2f}", flush=True)


PARTS = {"queries": queries, "reads": reads}

if __name__ == "__main__":
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()
