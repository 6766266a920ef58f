#!/usr/bin/env python3
"""test_postgres_requests.py: what becomes of a transaction when its request does not end as it should: the client
leaves, the time is over, the script raises an error; in the middle of whatever it waits for."""
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import postgres  # noqa: E402
from lib.case import Case, call, main  # noqa: E402
from lib.on_engine import OnEngine  # noqa: E402
from lib.probe import add_routes, write  # noqa: E402
from lib.server import Server, eventually  # noqa: E402

HANDLERS = r"""-- pg_probe.lua: transactions that hold a lock while they wait for something.
local pg = require "lib.pg"
local problem = require "lib.problem"
-- "nothing" may be asked for again when the answer to its COMMIT came too late.
local INSERT = "insert into probe values ($1) on conflict do nothing"
local waits = {}

-- For another store.
function waits.sleep() sleep(60000) end
-- For the database.
function waits.query(tx) tx.query "select pg_sleep(60)" end
-- For rows that are taken slowly, and for a source that gives them slowly.
function waits.rows(tx)
  for _ in tx.rows "select repeat('x', 1000) from generate_series(1, 100000)" do sleep(60000) end
end
function waits.copy(tx)
  tx.copy_in("copy probe from stdin", function() sleep(60000) end)
end
function waits.several(tx)
  wait_all { function() tx.query "select pg_sleep(60)" end, function() sleep(60000) end }
end
waits["error"] = function() error "on purpose" end
function waits.nothing() end

local function wait(req)
  local name = req.params.wait
  return problem.check(pg.transaction({ name = "probe " .. name }, function(tx)
    assert(tx.exec(INSERT, name))
    log.info("probe_holds", { wait = name })
    waits[name](tx)
    return { done = true }
  end))
end

local function rows()
  for _ in pg.rows "select repeat('x', 1000) from generate_series(1, 100000)" do
    log.info("probe_holds", { wait = "own_rows" })
    sleep(60000)
  end
end

return { wait = wait, rows = rows }
"""
ROUTES = """    ["POST /api/probe/own_rows"] = require("api.pg_probe").rows,
    ["POST /api/probe/:wait"] = require("api.pg_probe").wait,
"""
OPEN = ("select count(*) from pg_stat_activity where datname = 'perigee' and xact_start is not null"
        " and pid <> pg_backend_pid()")


class ProbeServer(Server):
    def __init__(self, **settings):
        super().__init__(**settings)
        write(os.path.join(self.scripts, "api", "pg_probe.lua"), HANDLERS)
        add_routes(self, ROUTES)


class Requests(OnEngine, Case):
    limits = {}

    @classmethod
    def make_engine(cls):
        return postgres.Single()

    @classmethod
    def make_server(cls):
        cls.engine.query("create table probe (id text primary key)")
        cls.engine.query("grant all on probe to perigee")
        return ProbeServer(postgres_url=cls.engine.url, **cls.limits)

    def holds(self, wait):
        return '"event":"probe_holds"' in self.server.log() and f'"wait":"{wait}"' in self.server.log()

    def nothing_is_left(self):
        """No transaction is open, no row was kept, and the lock is free for who comes next."""
        eventually(lambda: self.engine.one(OPEN) == "0", "every transaction has ended")
        self.assertEqual(self.engine.one("select count(*) from probe"), "0")
        eventually(lambda: self.call("POST", "/api/probe/nothing").status == 200, "the next one is served")
        self.assertEqual(self.engine.one("select string_agg(id, ',') from probe"), "nothing")
        self.engine.query("delete from probe")


class TheClientLeaves(Requests):
    def leave(self, wait):
        """By a reset: after a mere FIN a client may still read."""
        with socket.create_connection(("127.0.0.1", self.server.port)) as client:
            head = f"POST /api/probe/{wait} HTTP/1.1\r\nHost: acme.localhost\r\nContent-Length: 0\r\n\r\n"
            client.sendall(head.encode())
            eventually(lambda: self.holds(wait), wait + " has begun")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.nothing_is_left()

    def test_while_it_waits_for_another_store(self):
        self.leave("sleep")

    def test_while_it_waits_for_the_database(self):
        self.leave("query")

    def test_while_it_reads_rows(self):
        self.leave("rows")

    def test_while_it_reads_rows_outside_of_a_transaction(self):
        self.leave("own_rows")

    def test_while_it_copies(self):
        self.leave("copy")

    def test_while_it_waits_for_several(self):
        self.leave("several")


class TheScriptFails(Requests):
    def test_an_error_is_a_500_and_a_rollback(self):
        self.expect(500, "POST", "/api/probe/error")
        self.nothing_is_left()


class TheTimeIsOver(Requests):
    limits = {"request_ms": 2000}

    def time_out(self, wait):
        answer = call(self.server.port, "POST", "/api/probe/" + wait)
        self.assertIn(answer.status, (500, 503), answer)
        self.nothing_is_left()

    def test_while_it_waits_for_another_store(self):
        self.time_out("sleep")

    def test_while_it_waits_for_the_database(self):
        self.time_out("query")

    def test_while_it_reads_rows(self):
        self.time_out("rows")

    def test_while_it_copies(self):
        self.time_out("copy")

    def test_while_it_waits_for_several(self):
        self.time_out("several")

    def test_a_transaction_that_waited_is_named_in_the_log(self):
        self.time_out("sleep")
        line = next(line for line in self.server.log().splitlines() if '"transaction_waited"' in line)
        self.assertIn('"transaction":"probe sleep"', line)
        self.assertIn('"on":', line)


if __name__ == "__main__":
    main()
