#!/usr/bin/env python3
"""test_email.py: emails through the queue: to a mail server that takes them, refuses them, hangs, or is none; and what
becomes of a job when its worker is killed between doing it and saying so."""
import json
import os
import ssl
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib import engines  # noqa: E402
from lib.case import Case, main  # noqa: E402
from lib.probe import write  # noqa: E402
from lib.server import Server, eventually  # noqa: E402
from lib.smtp import Smtp  # noqa: E402

ACME = "01936b5c-7a00-7000-8000-00000000acfe"
FROM = "shop@platform.example"
PUSH = """
local email = require "shop.email"
require("shop.tenants").seed()
for i = 1, #arg do
  if arg[i] == "--config" then break end
  print(email.push("%s", "ada@example.com", "orderConfirmation",
    { orderNumber = arg[i], lines = "1 x Tent", total = "10.00 USD" }, { id = "order-" .. arg[i] }))
end
return 0
""" % ACME
# One round of work by hand, without the pauses between a job's tries; prints how many were looked at, and the dead.
WORK = """
local queue = require "shop.queue"
queue.register { email = require("shop.email").deliver }
print(queue.work_once(0, 0, "email"))
for _, message in ipairs(queue.dead(100, "email")) do print(message.id, message.why) end
return 0
"""


def script(server, text, *arguments):
    """What a script printed, and its log."""
    path = os.path.join(server.folder, "script.lua")
    write(path, text)
    done = server.run("script", path, *arguments)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return done.stdout, done.stderr


def events(text, name):
    """The log's lines of one event."""
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name]


def mail_settings(smtp):
    return {"mail_url": f"smtp://127.0.0.1:{smtp.port}", "mail_from": FROM}


class Served(Case):
    """A server that sends."""

    @classmethod
    def make_server(cls):
        cls.smtp = Smtp()
        return Server(**mail_settings(cls.smtp))

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.smtp.close()

    def letters(self, number):
        return [letter for letter in self.smtp.letters if number in letter["Subject"]]

    def test_an_email_arrives_in_the_shop_s_name(self):
        script(self.server, PUSH, "A-1")
        letter = eventually(lambda: self.letters("A-1"), "the letter arrives")[0]
        self.assertEqual((letter.sender, letter.recipients), (FROM, ["ada@example.com"]))
        self.assertEqual(letter["Subject"], "Your order A-1 at Acme Outfitters")
        self.assertEqual(letter["From"], f"Acme Outfitters <{FROM}>")
        self.assertEqual(letter["Reply-To"], "support@acme.example")
        self.assertIn("1 x Tent\r\n\r\nTotal: 10.00 USD", letter.text)

    def test_one_id_is_one_letter(self):
        script(self.server, PUSH, "B-1", "B-1", "B-1", "B-2")
        eventually(lambda: self.letters("B-2"), "the last letter arrives")
        eventually(lambda: events(self.server.log(), "job_repeated")[1:], "the repetitions are recognised")
        self.assertEqual(len(self.letters("B-1")), 1)

    def test_a_value_cannot_add_a_header(self):
        script(self.server, PUSH, "C-1\r\nBcc: eve@example.com")
        letter = eventually(lambda: self.letters("C-1"), "the letter arrives")[0]
        self.assertEqual(letter.recipients, ["ada@example.com"])
        self.assertIsNone(letter["Bcc"])

    def test_the_server_serves_while_a_letter_waits(self):
        self.smtp.silent.add("MAIL")
        script(self.server, PUSH, "D-1")
        eventually(lambda: self.smtp.held, "a letter is on its way, and nobody takes it")
        self.expect(200, "GET", "/api/products")
        self.assertEqual(self.letters("D-1"), [])
        self.smtp.silent.clear()


class ByHand(unittest.TestCase):
    """Without a server: rounds of work, one by one."""

    def setUp(self):
        self.smtp = Smtp()
        self.addCleanup(self.smtp.close)
        self.server = Server(**mail_settings(self.smtp))
        self.addCleanup(self.server.remove)

    def test_without_a_mail_server_emails_wait_and_the_log_says_so_once(self):
        settings, self.server.settings = self.server.settings, {}
        out, log = script(self.server, PUSH, "1", "2")
        self.assertEqual(out.split(), ["order-1", "order-2"])
        said = events(log, "email_not_sent")
        self.assertEqual([line["id"] for line in said], ["order-1", "order-2"])
        self.assertNotIn("ada@example.com", log)
        self.server.settings = settings
        self.assertEqual(script(self.server, WORK)[0].split(), ["2"])
        self.assertEqual(len(self.smtp.letters), 2)

    def test_a_server_that_does_not_know_the_shop_yet_leaves_the_letter(self):
        seed = 'require("shop.tenants").seed()'
        script(self.server, PUSH.replace(seed, ""), "1")
        self.assertEqual(script(self.server, WORK)[0].split(), ["1"])
        self.assertEqual(self.smtp.letters, [])
        script(self.server, seed + " return 0")
        script(self.server, WORK)
        self.assertEqual(len(self.smtp.letters), 1)

    def test_what_the_mail_server_puts_off_is_tried_again(self):
        for verb in ("CONNECT", "MAIL", "RCPT", "DATA", "."):
            with self.subTest(verb=verb):
                self.smtp.letters.clear()
                self.smtp.answers = {verb: "451 later"}
                script(self.server, PUSH, verb)
                self.assertEqual(script(self.server, WORK)[0].split(), ["1"])
                self.smtp.letters.clear()
                self.smtp.answers = {}
                script(self.server, WORK)
                self.assertEqual(len(self.smtp.letters), 1)

    def test_what_the_mail_server_refuses_is_a_dead_letter(self):
        self.smtp.answers = {"RCPT": "550 no such user"}
        self.smtp.silent = {"QUIT"}
        script(self.server, PUSH, "1")
        out, log = script(self.server, WORK)
        self.assertRegex(out, r"order-1\t.*550")
        self.assertEqual([line["id"] for line in events(log, "job_dead")], ["order-1"])
        self.assertEqual(script(self.server, WORK)[0].split("\n")[0], "0")

    def test_a_mail_server_that_is_away_loses_nothing(self):
        self.smtp.close()
        script(self.server, PUSH, "1")
        out, log = script(self.server, WORK)
        self.assertEqual(out.split(), ["1"])
        self.assertEqual(len(events(log, "job_failed")), 1)
        again = Smtp()
        self.addCleanup(again.close)
        self.server.settings = mail_settings(again)
        script(self.server, WORK)
        self.assertEqual(len(again.letters), 1)

    def test_a_shop_writes_its_own_letters(self):
        script(self.server, PUSH)
        script(self.server, """
            local stores = require "stores"
            local own = { orderConfirmation = { subject = "Danke {orderNumber}", text = "{shop}: {unknown}" } }
            assert(stores.documents.update("*", "tenants", "%s", { set = { ["settings.letters"] = own } }))
            return 0""" % ACME)
        script(self.server, PUSH, "1")
        script(self.server, WORK)
        self.assertEqual(self.smtp.letters[0]["Subject"], "Danke 1")
        self.assertEqual(self.smtp.letters[0].text.strip(), "Acme Outfitters: {unknown}")


class Secret(unittest.TestCase):
    """TLS and passwords."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="perigee-mail-")
        engines.make_certificates(cls.folder.name)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def run_with(self, smtp, form):
        """One letter by this form of mail_url; what the round of work printed, and its log."""
        self.addCleanup(smtp.close)
        url = form.format(port=smtp.port, ca=os.path.join(self.folder.name, "ca.crt"))
        server = Server(mail_url=url, mail_from=FROM)
        self.addCleanup(server.remove)
        script(server, PUSH, "1")
        return script(server, WORK)

    def context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*(os.path.join(self.folder.name, name) for name in ("server.crt", "server.key")))
        return context

    def test_a_password_travels_on_a_secure_connection(self):
        for implicit, form in ((True, "smtps://shop:p%40ss@127.0.0.1:{port}?ca={ca}"),
                               (False, "smtp+starttls://shop:p%40ss@127.0.0.1:{port}?ca={ca}")):
            with self.subTest(form=form):
                smtp = Smtp(self.context(), implicit=implicit, login=("shop", "p@ss"))
                log = self.run_with(smtp, form)[1]
                self.assertEqual((len(smtp.letters), smtp.logins), (1, [(("shop", "p@ss"), True)]), log)

    def test_it_does_not_travel_on_another(self):
        smtp = Smtp(login=("shop", "hush"))
        log = self.run_with(smtp, "smtp+starttls://shop:hush@127.0.0.1:{port}?ca={ca}")[1]
        self.assertEqual((smtp.letters, smtp.logins), ([], []))
        self.assertEqual(len(events(log, "job_failed")), 1)
        self.assertNotIn("hush", log)

    def test_a_wrong_password_and_a_strange_certificate_keep_the_letter(self):
        for form in ("smtps://shop:wrong@127.0.0.1:{port}?ca={ca}", "smtps://shop:p@127.0.0.1:{port}"):
            with self.subTest(form=form):
                smtp = Smtp(self.context(), implicit=True, login=("shop", "right"))
                out, log = self.run_with(smtp, form)
                self.assertEqual((smtp.letters, out.split()), ([], ["1"]))
                self.assertEqual(len(events(log, "job_failed")), 1)

    def test_a_setting_that_would_give_it_away_is_refused(self):
        for form in ("smtp://shop:hush@127.0.0.1", "127.0.0.1"):
            server = Server(mail_url=form, mail_from=FROM)
            self.addCleanup(server.remove)
            done = server.run("serve")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("mail_url", done.stderr)
            self.assertNotIn("hush", done.stderr)


class Killed(unittest.TestCase):
    """Two servers on one Redis; one is killed."""

    def setUp(self):
        self.redis = engines.Single()
        self.addCleanup(self.redis.close)
        self.smtp = Smtp()
        self.addCleanup(self.smtp.close)

    def make(self, claim_ms=None):
        server = Server(redis_url=self.redis.url, **mail_settings(self.smtp))
        self.addCleanup(server.remove)
        self.addCleanup(server.kill)
        if claim_ms:
            path = os.path.join(server.scripts, "shop", "queue.lua")
            with open(path, encoding="utf-8") as source:
                text = source.read()
            changed = text.replace("CLAIM_MS = 30000, 90000", f"CLAIM_MS = 30000, {claim_ms}")
            self.assertNotEqual(text, changed)
            write(path, changed)
        return server

    def emptied(self):
        eventually(lambda: self.redis.node.call("XLEN", "queue:email") == 0, "the queue is empty")

    def test_two_servers_send_each_letter_once(self):
        servers = [self.make().start() for _ in range(2)]
        numbers = [str(number) for number in range(30)]
        script(servers[0], PUSH, *numbers, *numbers)
        self.emptied()
        self.assertEqual(sorted(letter["Subject"].split()[2] for letter in self.smtp.letters), sorted(numbers))
        self.assertEqual(len({letter["Message-ID"] for letter in self.smtp.letters}), len(numbers))

    def test_killed_before_it_knew_the_next_one_sends_under_the_same_id(self):
        first = self.make(claim_ms=2000).start()
        pids = first.worker_pids()

        def kill(_letter):
            self.smtp.before_end = lambda letter: None
            first.process.kill()
            for pid in pids:
                os.kill(pid, 9)
        self.smtp.before_end = kill
        script(first, PUSH, "1")
        eventually(lambda: self.smtp.letters, "the letter is with the mail server")
        second = self.make(claim_ms=2000).start()
        eventually(lambda: len(self.smtp.letters) > 1, "the other server sends it again")
        self.emptied()
        self.assertEqual(len({letter["Message-ID"] for letter in self.smtp.letters}), 1)
        self.assertEqual(second.stop(), 0)

    def test_killed_before_it_said_so_the_next_one_sees_that_it_is_done(self):
        first = self.make(claim_ms=2000)
        path = os.path.join(first.scripts, "main.lua")
        with open(path, encoding="utf-8") as source:
            text = source.read()
        write(path, 'require("stores").cache.queue_ack = function() log.warn("hangs", {}) sleep(60000) end\n' + text)
        first.start()
        script(first, PUSH, "1")
        eventually(lambda: events(first.log(), "hangs"), "the letter is sent and not yet acknowledged")
        first.kill()
        second = self.make(claim_ms=2000).start()
        eventually(lambda: events(second.log(), "job_repeated"), "the other server recognises it")
        self.emptied()
        self.assertEqual(len(self.smtp.letters), 1)
        self.assertEqual(second.stop(), 0)


if __name__ == "__main__":
    main()
