#!/usr/bin/env python3
"""test_outbox.py: what transactions leave to be done is done, in order per key, by many workers, across kill -9."""
import collections
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import call, main  # noqa: E402 pylint: disable=wrong-import-position
from lib.probe import add_handlers  # noqa: E402 pylint: disable=wrong-import-position
from lib.server import Server, eventually  # noqa: E402 pylint: disable=wrong-import-position

# Writes down what leaves: who sends it, its key, its number, its id. One write to a file opened for appending is whole.
HANDLERS = """
local outbox = require "shop.outbox"
local queue = require "shop.queue"
local stores = require "stores"

local PATH = process.config "data" .. "/sent"
local me = ident.token(6)

local function write(...)
  local out = assert(io.open(PATH, "a"))
  out:setvbuf "no"
  out:write(table.concat({ ... }, " ") .. "\\n")
  out:close()
end

local function note(entry)
  write(me, entry.key, entry.payload.number, entry.id)
end

local function note_once_open(entry)
  if stores.cache.generation(entry.tenant, "test:open") == 0 then error "not yet" end
  note(entry)
end

-- While this file is there, the ledger cannot be told what has left.
local done = stores.ledger.outbox_done
function stores.ledger.outbox_done(...)
  local deaf = io.open(PATH .. ".deaf")
  if not deaf then return done(...) end
  deaf:close()
  return nil, "it is deaf", "unavailable"
end

outbox.register { note = note, stubborn = note_once_open }
queue.register { note = function(job) write("job", job.data.key, job.data.number, job.id) end }

local function add(req)
  local steps = {}
  for i = 1, req.json.count do
    local number = req.json.first + i - 1
    local payload = { number = number }
    if req.json.kind == "queue" then payload = { kind = "note", data = { number = number, key = req.json.key } } end
    steps[i] = { "outbox_add", { key = req.json.key, kind = req.json.kind, payload = payload } }
  end
  local ids, text = stores.ledger.apply(req.tenant.id, steps)
  if not ids then error(text) end
  return { ids = ids }
end

local function open(req)
  stores.cache.bump(req.tenant.id, "test:open")
end

return { ["POST /api/test/outbox"] = add, ["POST /api/test/open"] = open }
"""
KEYS, BATCHES, BATCH = 12, 10, 5


def make_server(**settings):
    server = Server(**settings)
    add_handlers(server, "test_outbox", HANDLERS)
    return server


class Outbox(unittest.TestCase):
    settings = {}

    def setUp(self):
        first = make_server(workers=2, **self.settings)
        self.servers = [first, make_server(workers=2, data=first.data, **self.settings)]
        self.addCleanup(self.remove)
        for server in self.servers:
            server.start()

    def remove(self):
        for server in reversed(self.servers):
            server.kill()
            server.remove()

    def add(self, server, key, first, count, kind="note"):
        answer = call(server.port, "POST", "/api/test/outbox",
                      json={"key": key, "first": first, "count": count, "kind": kind})
        self.assertEqual(answer.status, 200, answer)
        return answer.json["ids"]

    def sent(self):
        """(worker, key, number, id) of each, in order."""
        try:
            with open(os.path.join(self.servers[0].data, "sent"), encoding="ascii") as source:
                return [(who, key, int(number), mark) for who, key, number, mark in
                        (line.split() for line in source.read().splitlines())]
        except FileNotFoundError:
            return []

    def all_sent(self, ids):
        eventually(lambda: {one[3] for one in self.sent()} >= set(ids), "everything is sent", 120)

    def in_order(self, ids):
        """Each once; a second time only under the same id, and the first times of a key are in order."""
        known, numbers = set(), collections.defaultdict(list)
        for _, key, number, mark in self.sent():
            if mark not in known:
                numbers[key].append(number)
            known.add(mark)
        self.assertEqual(known, set(ids))
        for key, list_ in numbers.items():
            self.assertEqual(list_, sorted(list_), key)

    def stop(self):
        for server in self.servers:
            self.assertEqual(server.stop(), 0, server.log()[-4000:])
            self.assertNotIn("AddressSanitizer", server.log())

    def test_order_per_key_with_many_workers(self):
        ids = []
        for batch in range(BATCHES):
            for key in range(KEYS):
                ids += self.add(self.servers[(batch + key) % 2], f"key-{key}", batch * BATCH, BATCH)
        self.all_sent(ids)
        self.in_order(ids)
        self.assertEqual(len(self.sent()), len(ids), "nobody died: nothing is sent twice")
        self.stop()

    def open(self):
        self.assertEqual(call(self.servers[0].port, "POST", "/api/test/open").status, 204)

    def test_a_failure_holds_up_its_key_and_no_other(self):
        slow = self.add(self.servers[0], "slow", 0, 1, "stubborn")
        slow += self.add(self.servers[0], "slow", 1, 3)
        quick = self.add(self.servers[0], "quick", 0, 3)
        self.all_sent(quick)
        self.assertEqual({one[1] for one in self.sent()}, {"quick"})
        eventually(lambda: "outbox_failed" in "".join(server.log() for server in self.servers), "it was tried")
        self.open()
        self.all_sent(slow)
        self.in_order(slow + quick)
        self.stop()

    def test_jobs_reach_the_queue(self):
        ids = self.add(self.servers[0], "jobs", 0, 7, "queue")
        self.all_sent(ids)
        self.assertEqual(sorted(one[3] for one in self.sent()), sorted(ids))
        self.assertEqual({one[0] for one in self.sent()}, {"job"})
        self.stop()

    def test_what_has_left_and_cannot_be_noted_comes_again_and_the_log_says_so(self):
        deaf = os.path.join(self.servers[0].data, "sent.deaf")
        with open(deaf, "w", encoding="ascii"):
            pass
        ids = self.add(self.servers[0], "deaf", 0, 2)

        def said():
            return [line for server in self.servers for line in server.log().splitlines()
                    if '"outbox_not_done"' in line]
        line, *_ = eventually(said, "the log says so")
        self.assertIn("it is deaf", line)
        self.assertIn(ids[0], line)
        os.remove(deaf)
        eventually(lambda: [one[3] for one in self.sent()].count(ids[1]) > 1, "they come again", 60)
        self.in_order(ids)
        self.stop()

    def test_kill_in_the_middle_loses_nothing(self):
        """The servers die in turn while entries are added and sent."""
        ids = []
        for batch in range(BATCHES):
            for key in range(KEYS):
                ids += self.add(self.servers[batch % 2], f"key-{key}", batch * BATCH, BATCH)
            if batch in (3, 6):
                victim = self.servers[(batch + 1) % 2]
                # Some of its batch has left, some has not.
                before = len(self.sent())
                eventually(lambda known=before: len(self.sent()) > known or
                           {one[3] for one in self.sent()} >= set(ids), "something is sent")
                victim.kill_all()
                victim.start()
        self.all_sent(ids)
        self.in_order(ids)
        self.stop()

    def test_a_restart_finds_what_was_left(self):
        ids = self.add(self.servers[0], "left", 0, 1, "stubborn")
        ids += self.add(self.servers[0], "left", 1, 20)
        for server in self.servers:
            self.assertEqual(server.stop(), 0)
        self.assertEqual(self.sent(), [])
        for server in self.servers:
            server.start()
        self.open()
        self.all_sent(ids)
        self.in_order(ids)
        self.stop()


if __name__ == "__main__":
    main()
