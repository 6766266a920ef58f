#!/usr/bin/env python3
"""test_blame.py: whom a failed statement or command is blamed on, and what a script that fails so says of it."""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import engines, postgres  # noqa: E402
from lib.case import Case, main  # noqa: E402
from lib.on_engine import OnEngine  # noqa: E402
from lib.probe import add_routes, write  # noqa: E402
from lib.server import Server, eventually  # noqa: E402

HANDLERS = r"""-- blame.lua: statements and commands that are wrong, each in its own way.
local pg = require "lib.pg"
local redis = require "lib.redis"
local problem = require "lib.problem"
local stores = require "stores"
local check = problem.check
local faults = {}

function faults.typo() check(pg.query("selec $1", "hush")) end
function faults.rows() for _ in pg.rows "select 1/0" do sleep(0) end end
function faults.listen() check(pg.exec "LISTEN c") end
function faults.value(req) return check(pg.one("select $1::int as v", req.query.v)) end
function faults.ledger(req) check(stores.ledger.events_of(req.tenant_id, ident.uuid())) end
function faults.settings() pg.transaction { isolation = "serializable" } end
function faults.type()
  check(redis.set("blame", "text"))
  check(redis.lpush("blame", 1))
end
function faults.subscribe() check(redis.call("SUBSCRIBE", "c")) end
function faults.watch() redis.transaction { watch = { "n" } } end

return function(req) return faults[req.params.fault](req) end
"""
ROUTE = '    ["GET /api/blame/:fault"] = require "api.blame",\n'


class BlameServer(Server):
    def __init__(self, **settings):
        super().__init__(**settings)
        write(os.path.join(self.scripts, "api", "blame.lua"), HANDLERS)
        add_routes(self, ROUTE)

    def script(self, text):
        path = os.path.join(self.folder, "blame.lua")
        write(path, text)
        return self.run("script", path)


class Blame(Case):
    def lines(self, event):
        lines = [line for line in self.server.log().splitlines() if f'"event":"{event}"' in line]
        return [json.loads(line) for line in lines]

    def author(self, fault, *words):
        """The client learns nothing; the log has the words."""
        answer = self.expect(500, "GET", "/api/blame/" + fault)
        self.assertNotIn(words[0], answer.text)
        found = []

        def is_said():
            found[:] = [line["error"] for line in self.lines("handler_failed")
                        if line["requestId"] == answer.json["requestId"]]
            return found
        eventually(is_said, "the log names it")
        for word in words:
            self.assertIn(word, found[0])
        return found[0]


class OnPostgres(OnEngine, Blame):
    @classmethod
    def make_engine(cls):
        return postgres.Single()

    @classmethod
    def make_server(cls):
        return BlameServer(postgres_url=cls.engine.url, workers=1)

    def test_a_wrong_statement_is_the_authors(self):
        said = self.author("typo", "syntax error at or near", "(SQLSTATE 42601)", "api/blame.lua")
        self.assertNotIn("hush", said)
        self.author("rows", "division by zero", "(SQLSTATE 22012)", "api/blame.lua")
        self.author("listen", "invalid: ", "api/blame.lua")

    def test_a_wrong_value_is_the_clients(self):
        answer = self.expect(400, "GET", "/api/blame/value?v=x")
        self.assertEqual(answer.json["code"], "invalid")
        self.assertEqual(self.expect(200, "GET", "/api/blame/value?v=7").json, {"v": 7})

    def test_a_transaction_without_its_function_says_so(self):
        self.author("settings", "pg.transaction: the last argument must be a function", "api/blame.lua:14:")

    def test_a_script_says_text_name_and_sqlstate(self):
        start = 'local pg, problem = require "lib.pg", require "lib.problem"\n'
        for text, words in (
                ('for _ in pg.rows "selec 1" do end', ("invalid: syntax error", "(SQLSTATE 42601)")),
                ('problem.check(pg.query("select $1::int", "x"))', ("invalid: ", "(SQLSTATE 22P02)")),
                ('problem.raise { status = 409, code = "conflict", detail = "sold out" }', ("conflict: sold out",)),
                ('problem.check(nil, "it is away", "unavailable")', ("unavailable: it is away",))):
            done = self.server.script(start + text)
            self.assertEqual(done.returncode, 1, done)
            for word in words:
                self.assertIn(word, done.stderr)
            self.assertNotIn("error object", done.stderr)

    def test_a_missing_schema_is_said_once_with_its_remedy(self):
        """Nobody has called `perigee migrate` here, and the one worker asks for its deliveries twice a second."""
        for _ in range(3):
            self.expect(503, "GET", "/api/blame/ledger")

        def lines():
            return [line for line in self.lines("ledger_schema_missing") if "order_events" in line["error"]]
        eventually(lines, "it is said")
        self.assertEqual([line["remedy"] for line in lines()], ["perigee migrate"])
        said = [line["error"] for line in self.lines("ledger_schema_missing")]
        self.assertEqual(len(said), len(set(said)), said)


class OnRedis(OnEngine, Blame):
    @classmethod
    def make_engine(cls):
        return engines.Single()

    @classmethod
    def make_server(cls):
        return BlameServer(redis_url=cls.engine.url)

    def test_a_wrong_command_is_the_authors(self):
        self.author("type", "WRONGTYPE", "api/blame.lua")
        self.author("subscribe", "SUBSCRIBE is the driver's own business", "api/blame.lua")

    def test_a_transaction_without_its_function_says_so(self):
        self.author("watch", "redis.transaction: the last argument must be a function", "api/blame.lua:20:")


class WithoutEither(Blame):
    """The file is loaded all the same; who calls learns what is missing, and where."""

    @classmethod
    def make_server(cls):
        return BlameServer()

    def test_calls_say_which_setting_is_empty(self):
        self.author("typo", "there is no PostgreSQL here: the setting postgres_url is empty", "api/blame.lua:9:")
        self.author("type", "there is no Redis here: the setting redis_url is empty", "api/blame.lua:16:")


if __name__ == "__main__":
    main()
