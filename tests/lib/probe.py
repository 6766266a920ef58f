"""probe.py: a server whose scripts have a handler that the test can edit."""
import os

from lib.server import Server

PROBE = """-- probe.lua: a handler for the tests.
return {
  get = function() return { text = "%s", pid = 0 } end,
  slow = function(req)
    log.warn("probe_waits", { ms = req.query.ms }) -- at once in the log, so that a test knows
    sleep(tonumber(req.query.ms))
    return { slept = true }
  end,
}
"""


def write(path, text):
    """As editors save: beside, then moved into place."""
    beside = os.path.join(os.path.dirname(path), ".beside")
    with open(beside, "w", encoding="utf-8") as target:
        target.write(text)
    os.replace(beside, path)


class ProbeServer(Server):
    """GET /api/probe answers {"text": …}; GET /api/slow?ms=N waits."""

    def __init__(self, text="first", **settings):
        super().__init__(**settings)
        self.probe_path = os.path.join(self.scripts, "api", "probe.lua")
        self.set_probe(text)
        main = os.path.join(self.scripts, "main.lua")
        with open(main, encoding="utf-8") as source:
            lines = source.read()
        routes = '  routes = {\n    ["GET /api/probe"] = require("api.probe").get,\n' \
                 '    ["GET /api/slow"] = require("api.probe").slow,\n'
        assert "  routes = {\n" in lines
        write(main, lines.replace("  routes = {\n", routes))

    def set_probe(self, text):
        write(self.probe_path, PROBE % text)

    def tenant_file(self, name, tenant="acme"):
        return os.path.join(self.tenants, tenant, name)
