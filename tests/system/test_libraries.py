"""test_libraries.py: libcurl and lua-cjson open on first use, in a worker that is confined already."""
from lib.case import Case, main
from lib.probe import ProbeServer, write

HANDLER = """-- probe.lua: asks for libraries that the server has not opened yet.
local cjson = require "cjson"
local http = require "http"

return {
  get = function(req)
    local found, text = http.get("http://127.0.0.1:" .. req.query.port .. "/healthz", { private = true })
    return { status = found and found.status, body = found and cjson.decode(found.body), text = text }
  end,
  slow = function() end,
}
"""


class Libraries(Case):
    @classmethod
    def make_server(cls):
        server = ProbeServer()
        write(server.probe_path, HANDLER)
        return server

    def test_curl_and_cjson(self):
        found = self.expect(200, "GET", f"/api/probe?port={self.server.port}").json
        self.assertEqual(found, {"status": 200, "body": {"status": "alive"}})


if __name__ == "__main__":
    main()
