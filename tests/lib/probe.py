"""probe.py: servers whose scripts have handlers of the tests, also one that a test can edit."""
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


def add_routes(server, lines):
    """Lines of main.lua's table, before its own."""
    path = os.path.join(server.scripts, "main.lua")
    with open(path, encoding="utf-8") as source:
        before, mark, after = source.read().partition("  routes = {\n")
    assert mark
    write(path, before + mark + lines + after)


def add_handlers(server, name, text, routes="{}"):
    """A module of routes. `routes` makes them of what the module returns."""
    write(os.path.join(server.scripts, "api", name + ".lua"), text)
    path = os.path.join(server.scripts, "main.lua")
    with open(path, encoding="utf-8") as source:
        main = source.read()
    made = routes.format(f'require("api.{name}")')
    write(path, f"local made = (function()\n{main}\nend)()\n"
                f"for spec, route in pairs({made}) do made.routes[spec] = route end\nreturn made\n")


class ProbeServer(Server):
    """GET /api/probe answers {"text": …}; GET /api/slow?ms=N waits."""

    def __init__(self, text="first", **settings):
        super().__init__(**settings)
        self.probe_path = os.path.join(self.scripts, "api", "probe.lua")
        self.set_probe(text)
        add_routes(self, '    ["GET /api/probe"] = require("api.probe").get,\n'
                         '    ["GET /api/slow"] = require("api.probe").slow,\n')

    def set_probe(self, text):
        write(self.probe_path, PROBE % text)

    def tenant_file(self, name, tenant="acme"):
        return os.path.join(self.tenants, tenant, name)
