#!/usr/bin/env python3
"""test_cli.py: the commands: help, settings and their faults, check, run, script; messages and exit codes."""
import json
import os
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import main  # noqa: E402
from lib.probe import write  # noqa: E402
from lib.server import BINARY, Server  # noqa: E402

COMMANDS = ("serve", "check", "run", "reload", "import", "audit", "migrate", "script")
CART = {"items": [{"sku": "A", "name": "Thing", "price": "10.00", "quantity": 12}], "customer": {"group": "wholesale"}}


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()  # never started: its folders and settings

    @classmethod
    def tearDownClass(cls):
        cls.server.remove()

    def perigee(self, *arguments, cwd=None, stdin=None, **settings):
        env = {key: value for key, value in os.environ.items() if not key.startswith("PERIGEE_")}
        env.update({"PERIGEE_" + key.upper(): value for key, value in settings.items()})
        return subprocess.run([BINARY, *arguments], cwd=cwd or self.server.folder, env=env, text=True, input=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)

    def fails(self, code, words, *arguments, **options):
        """Nothing on standard output, what is wrong on standard error."""
        result = self.perigee(*arguments, **options)
        self.assertEqual((result.returncode, result.stdout), (code, ""), result.stderr)
        for word in [words] if isinstance(words, str) else words:
            self.assertIn(word, result.stderr)
        return result

    def works(self, *arguments, **options):
        result = self.perigee(*arguments, **options)
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
        return result.stdout

    def test_help_lists_every_command(self):
        for words in (["--help"], ["help"], ["-h"]):
            text = self.works(*words)
            self.assertTrue(text.startswith("usage: perigee COMMAND"), text)
            for command in (*COMMANDS, "version", "help"):
                self.assertIn(f"\n  {command:8}  ", text)

    def test_each_command_has_help(self):
        for command in COMMANDS:
            self.assertTrue(self.works("help", command).startswith(f"usage: perigee {command} "), command)
            self.assertIn("--config FILE", self.works(command, "--help"), command)
            self.assertIn("--SETTING=VALUE", self.works(command, "--help"), command)
            if command not in ("import", "audit", "migrate"):  # scripts, which say it themselves
                self.assertEqual(self.works(command, "--help"), self.works("help", command))

    def test_version(self):
        self.assertRegex(self.works("version"), r"^perigee \d+\.\d+\.\d+\n$")
        self.assertEqual(self.works("--version"), self.works("version"))

    def test_help_config_documents_each_setting(self):
        text = self.works("help", "config")
        for line in ("  port ", "  data ", "  demo_keys ", "  drain_ms "):
            self.assertIn(line, text)
        for line in text.split("\n\n", 1)[1].rstrip().split("\n"):
            self.assertRegex(line, r"^  [a-z0-9_]+ +\S.* \(default: .+\)$")

    def test_what_is_not_understood(self):
        self.fails(2, "usage: perigee COMMAND")
        self.fails(2, "perigee: there is no command serv (perigee help lists them)", "serv")
        self.fails(2, "perigee: there is no command serv", "help", "serv")
        self.fails(2, ["perigee serve: there is no option --prot=1\n", "usage: perigee serve"], "serve", "--prot=1")
        self.fails(2, "perigee serve: there is no option -x", "serve", "-x")
        self.fails(2, "perigee serve: unexpected argument now", "serve", "now")
        self.fails(2, "perigee serve: --config takes a value", "serve", "--config")
        self.fails(2, "perigee reload: --wait takes no value", "reload", "--wait=1")
        self.fails(2, "perigee run: --input CART.json is missing", "run", "pricing.lua")
        self.fails(2, "perigee run: one rule file is needed", "run", "--input", "cart.json")
        self.fails(2, "perigee script: which script?", "script")
        self.fails(2, "perigee version: unexpected argument extra", "version", "extra")

    def test_wrong_settings_are_named_where_they_stand(self):
        path = os.path.join(self.server.folder, "perigee.conf")
        write(path, "# a shop\nport = 8080\nprot = 8081\n")
        self.addCleanup(os.unlink, path)
        self.fails(2, 'perigee serve: perigee.conf:3: there is no setting "prot"', "serve")
        write(path, "port = 8080\nworkers = many\n")
        self.fails(2, 'perigee.conf:2: workers must be a whole number from 1 to 64, not "many"', "serve")
        self.fails(2, "perigee.conf:2:", "reload")
        write(path, "")
        self.fails(2, 'PERIGEE_PORT: port must be a whole number from 0 to 65535, not "http"', "serve", port="http")
        self.fails(2, '--demo_keys: demo_keys must be true or false', "serve", "--demo_keys=1")
        self.fails(2, "--port: port must be", "serve", "--port=70000")
        for name, url, why in (("redis_url", "http://:secret@here", "redis_url: "),
                               ("postgres_url", "postgres://u:secret@h:port/d", "postgres_url: "),
                               ("mail_url", "smtp://u:secret@h", "mail_url: a password needs")):
            result = self.fails(2, "perigee serve: " + why, "serve", **{name: url})
            self.assertNotIn("secret", result.stdout + result.stderr)
        self.fails(2, "nowhere.conf: No such file or directory", "serve", "--config", "nowhere.conf")
        self.fails(2, "elsewhere.conf: No such file or directory", "serve", config="elsewhere.conf")

    def test_command_line_wins_over_environment_and_file(self):
        write(os.path.join(self.server.folder, "one.conf"), "port = 1\ndata = nowhere-one\n")
        result = self.fails(1, "no server with port 3 runs on", "reload", "--config=one.conf", "--port=3", port="2")
        self.assertIn("nowhere-one", result.stderr)
        self.fails(1, "no server with port 2 runs on", "reload", "--config=one.conf", port="2")
        self.fails(1, "no server with port 1 runs on", "reload", "--config=one.conf")

    def test_folder_that_cannot_be_made(self):
        self.fails(1, "perigee: cannot make the folder /proc/nowhere", "serve", "--port=0", "--data=/proc/nowhere")

    def test_address_that_does_not_exist(self):
        self.fails(1, "perigee: cannot listen on 192.0.2.1:", "serve", "--port=0", "--host=192.0.2.1")
        self.fails(1, "perigee: host: ", "serve", "--port=0", "--host=127.0.0.1,,::1")

    def test_worker_is_not_for_people(self):
        self.fails(2, "perigee: a worker is started by `perigee serve`", "worker")

    def test_reload_without_a_server(self):
        self.fails(1, "perigee reload: no server with port 9 runs on the data folder var", "reload", "--port=9")

    def test_check_of_good_folders(self):
        result = self.server.run("check")
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
        for word in ("every file parses; it was not run", "acme", "tokyo", "_default"):
            self.assertIn(word, result.stdout)
        self.assertIn("acme", self.works("check", os.path.join(self.server.tenants, "acme") + "/"))
        self.assertIn("acme", self.works("check", "acme", cwd=self.server.tenants))
        self.assertIn("every file parses; it was not run", self.works("check", self.server.scripts))

    def test_check_names_file_line_and_reason(self):
        folder = os.path.join(self.server.tenants, "lima")
        os.mkdir(folder)
        self.addCleanup(os.rmdir, folder)
        path = os.path.join(folder, "pricing.lua")
        self.addCleanup(os.unlink, path)
        write(path, "return function(cart, ctx)\n  local x = = 1\nend\n")
        result = self.perigee("check", folder)
        self.assertEqual((result.returncode, result.stderr), (1, ""), result.stdout)
        self.assertIn(path + ":2: pricing: ", result.stdout)
        found = json.loads(self.perigee("check", "--json", folder).stdout)
        self.assertEqual((len(found), found[0]["ok"]), (1, False))
        self.assertEqual((found[0]["findings"][0]["file"], found[0]["findings"][0]["line"]), ("lima/pricing.lua", 2))

    def test_check_names_the_neighbour_that_has_the_host(self):
        folder = os.path.join(self.server.tenants, "lima")
        shutil.copytree(os.path.join(self.server.tenants, "acme"), folder)
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "tenant.json")
        result = self.perigee("check", folder)
        self.assertEqual((result.returncode, result.stderr), (1, ""), result.stdout)
        self.assertIn(path + ': tenant: slug: "acme" is not the folder\'s name, "lima" (invalid)', result.stdout)
        # What is refused for its slug takes nothing from the shop it was copied from.
        self.works("check", os.path.join(self.server.tenants, "acme"))
        with open(path, encoding="utf-8") as source:
            text = source.read()
        write(path, text.replace('"slug": "acme"', '"slug": "lima"'))
        result = self.perigee("check", folder)
        self.assertEqual(result.returncode, 1, result.stdout)
        for field, value in (("id", "01936b5c-7a00-7000-8000-00000000acfe"), ("subdomain", "acme"),
                             ("customDomain", "www.acme.example")):
            self.assertIn(f'{path}: tenant: {field}: "{value}" is the tenant acme\'s already (conflict)', result.stdout)

    def test_check_json_of_all(self):
        result = self.server.run("check", "--json")
        reports = json.loads(result.stdout)
        self.assertEqual((result.returncode, [report["ok"] for report in reports]), (0, [True] * 3), result.stdout)

    def test_check_of_what_is_not_there(self):
        self.fails(1, "perigee check: nowhere: there is no such folder", "check", "nowhere")
        self.fails(1, "neither a tenant's folder nor one of scripts", "check", "/")

    def test_check_of_scripts_that_do_not_parse(self):
        folder = os.path.join(self.server.folder, "broken")
        os.makedirs(os.path.join(folder, "api"))
        write(os.path.join(folder, "main.lua"), "return {}\n")
        write(os.path.join(folder, "api", "a.lua"), "x =\n")
        write(os.path.join(folder, "api", "b.lua"), "return {\n\n")
        result = self.perigee("check", folder)
        self.assertEqual(result.returncode, 1)
        self.assertIn("scripts/api/a.lua:", result.stdout)
        self.assertIn("scripts/api/b.lua:", result.stdout)

    def rule(self, name, text, tenant="acme"):
        """A rule file beside the tenant's tenant.json, for its settings."""
        folder = os.path.join(self.server.folder, "rules", tenant)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(self.server.tenants, tenant, "tenant.json"), encoding="utf-8") as source:
            write(os.path.join(folder, "tenant.json"), source.read())
        write(os.path.join(folder, name), text)
        cart = os.path.join(folder, "cart.json")
        write(cart, json.dumps(CART))
        return os.path.join(folder, name), cart

    RULE = """return function(cart, ctx)
  log("group", ctx.customer.group)
  return { { line = 1, percent = 10, reason = "ten or more" }, { order = true, amount = -100, reason = "hello" } }
end
"""

    def test_run_shows_totals_adjustments_and_budget(self):
        path, cart = self.rule("pricing.lua", self.RULE)
        result = self.perigee("run", path, "--input", cart)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"(?m)^subtotal +120\.00 USD$")
        self.assertRegex(result.stdout, r"(?m)^discount +13\.00 USD$")
        self.assertRegex(result.stdout, r"(?m)^total +107\.00 USD$")
        self.assertRegex(result.stdout, r"(?m)^  line 1 +-12\.00  ten or more$")
        self.assertRegex(result.stdout, r"(?m)-1\.00  hello$")
        self.assertRegex(result.stdout, r"(?m)^budget: [1-9]\d* of \d+ instructions, [\d.]+ of \d+ ms, \d+ of \d+ KB")
        self.assertIn("wholesale", result.stderr)

    def test_run_json(self):
        path, cart = self.rule("pricing.lua", self.RULE)
        with open(cart, encoding="utf-8") as source:
            result = self.perigee("run", "--json", "--input=-", path, stdin=source.read())
        found = json.loads(result.stdout)
        self.assertEqual((result.returncode, found["ok"], found["result"]["total"]), (0, True, 107))
        self.assertEqual(found["result"]["explain"][0]["reason"], "ten or more")
        self.assertGreater(found["budget"]["instructions"]["used"], 0)
        self.assertGreater(found["budget"]["timeUs"]["limit"], 0)

    def test_run_takes_the_currency_of_its_tenant(self):
        path, cart = self.rule("pricing.lua", self.RULE, tenant="tokyo")
        write(cart, json.dumps({"items": [{"sku": "A", "price": 1000, "quantity": 1}]}))
        self.assertRegex(self.perigee("run", path, "--input", cart).stdout, r"(?m)^subtotal +1000 JPY$")

    def test_run_names_the_line_that_fails(self):
        path, cart = self.rule("tax.lua", "return function(cart)\n  return cart.nothing.there\nend\n")
        self.fails(1, [f"perigee run: {path}:2: ", "(rule_error)"], "run", path, "--input", cart)
        result = self.perigee("run", path, "--input", cart, "--json")
        self.assertEqual(result.returncode, 1)
        self.assertEqual(json.loads(result.stdout)["error"]["line"], 2)
        path, cart = self.rule("checkout.lua", "return function() while true do end end\n")
        self.fails(1, [f"{path}:1: ", "(budget_"], "run", path, "--input", cart)

    def test_run_of_bad_input(self):
        path, cart = self.rule("pricing.lua", self.RULE)
        write(cart, '{"items":[{"price":')
        self.fails(1, [cart], "run", path, "--input", cart)
        self.fails(1, "nowhere.json: No such file", "run", path, "--input", "nowhere.json")
        self.fails(1, "nowhere/tax.lua: No such file", "run", "nowhere/tax.lua", "--input", cart)
        self.fails(2, "routes.lua is not pricing.lua", "run", "routes.lua", "--input", cart)

    def test_script_gets_its_arguments_and_gives_the_code(self):
        path = os.path.join(self.server.folder, "hello.lua")
        write(path, 'print(table.concat(arg, ","), process.config "port")\nreturn #arg\n')
        result = self.server.run("script", "--port=77", path, "a", "--port=78", "--help")
        # The settings of the test come last on its command line, and are the script's own arguments by then.
        self.assertEqual(result.stdout.split("\t")[0].split(",")[:3], ["a", "--port=78", "--help"], result.stderr)
        self.assertEqual(result.stdout.split("\t")[1].strip(), "77")
        self.assertEqual(result.returncode, 5)

    def test_migrate_has_nothing_to_do_on_the_embedded_engine(self):
        result = self.server.run("migrate")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("there is nothing to migrate", result.stdout)

    def test_script_that_fails(self):
        path = os.path.join(self.server.folder, "bad.lua")
        write(path, 'local x\nprint(x.y)\n')
        result = self.server.run("script", path)
        self.assertEqual(result.returncode, 1)
        self.assertIn("bad.lua:2:", result.stderr)
        self.assertEqual(self.server.run("script", "nowhere.lua").returncode, 1)


if __name__ == "__main__":
    main()
