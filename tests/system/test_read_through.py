#!/usr/bin/env python3
"""test_read_through.py: what a client that leaves while its value is loaded leaves behind."""
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import Case, main  # noqa: E402 pylint: disable=wrong-import-position
from lib.probe import ProbeServer, write  # noqa: E402 pylint: disable=wrong-import-position
from lib.server import eventually  # noqa: E402 pylint: disable=wrong-import-position

# A value that is never loaded, under a key that is large enough to be missed.
HANDLER = """-- probe.lua: loads what does not come, and tells how much memory the scripts have.
local read_through = require "lib.read_through"
local signal = require "signal"

local begun = 0

local function never()
  begun = begun + 1
  signal.new():wait(60000)
end

return {
  get = function()
    collectgarbage()
    collectgarbage()
    return { begun = begun, kilobytes = collectgarbage "count" }
  end,
  slow = function(req)
    read_through.get(req.tenant.id, ident.uuid() .. ("k"):rep(1000000), { ttl_s = 60 }, never)
  end,
}
"""
CLIENTS = 6
AT_ONCE = struct.pack("ii", 1, 0)


class ReadThrough(Case):
    @classmethod
    def make_server(cls):
        server = ProbeServer(workers=1)
        write(server.probe_path, HANDLER)
        return server

    def probe(self):
        return self.expect(200, "GET", "/api/probe").json

    def leave(self, begun):
        """Asks, and is gone once the value is being loaded."""
        with socket.create_connection(("127.0.0.1", self.server.port)) as client:
            client.sendall(f"GET /api/slow HTTP/1.1\r\nHost: acme.localhost:{self.server.port}\r\n\r\n".encode())
            eventually(lambda: self.probe()["begun"] == begun, "the value is being loaded")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)

    def test_clients_that_leave_cost_no_memory(self):
        before = self.probe()["kilobytes"]
        for i in range(CLIENTS):
            self.leave(i + 1)
        eventually(lambda: self.probe()["kilobytes"] < before + 2000, "their values are forgotten", 20)


if __name__ == "__main__":
    main()
