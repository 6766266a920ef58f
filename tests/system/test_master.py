#!/usr/bin/env python3
"""test_master.py: the processes: starting, draining, replacing workers that die or hang, sharing ports and folders."""
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import Case, call, main  # noqa: E402
from lib.load import Load  # noqa: E402
from lib.probe import ProbeServer  # noqa: E402
from lib.server import Server, eventually  # noqa: E402


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as source:
            return source.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as source:
            return source.read().split(b"\0")
    except FileNotFoundError:
        return []


def workers(server):
    """Without the children that try editions."""
    return [pid for pid in server.worker_pids() if is_alive(pid) and b"worker" in command_of(pid)]


def ready_workers(server):
    return server.log().count('"worker_ready"')


class TwoWorkers(Case):
    @classmethod
    def make_server(cls):
        return ProbeServer(workers=2)

    def replace(self, act):
        """Acts on a worker and waits until another one is ready in its place. Returns the old pid."""
        before = eventually(lambda: len(workers(self.server)) == 2 and workers(self.server), "two workers")
        ready = ready_workers(self.server)
        act(before[0])
        eventually(lambda: ready_workers(self.server) > ready, "a new worker is ready")
        after = eventually(lambda: len(workers(self.server)) == 2 and workers(self.server), "two workers again")
        self.assertNotIn(before[0], after)
        self.assertIn(before[1], after)
        return before[0]

    def test_killed_worker_is_replaced(self):
        pid = self.replace(lambda pid: os.kill(pid, signal.SIGKILL))
        self.assertIn(f'"pid":{pid},"signal":9', self.server.log())
        self.assertEqual(self.expect(200, "GET", "/api/probe").json["text"], "first")

    def test_kill_under_load_costs_only_what_is_in_flight(self):
        with Load(self.server.port, "/api/probe", clients=6, headers={"Host": "acme.localhost"}) as load:
            eventually(lambda: min(load.answers) > 10, "all clients are served")
            self.replace(lambda pid: os.kill(pid, signal.SIGKILL))
            seen = load.answers
            eventually(lambda: all(now > then + 10 for now, then in zip(load.answers, seen)), "all are served again")
        for client in load.all:
            self.assertLessEqual(len(client.faults), 1, client.faults)

    def test_worker_that_ends_early_again_and_again_still_comes_back(self):
        for _ in range(7):
            pid = eventually(lambda: workers(self.server), "a worker")[0]
            os.kill(pid, signal.SIGKILL)
            eventually(lambda gone=pid: not is_alive(gone), "it is gone")
        eventually(lambda: len(workers(self.server)) == 2, "two workers")
        self.expect(200, "GET", "/api/probe")


class Lent(Case):
    @classmethod
    def make_server(cls):
        return ProbeServer(workers=2)

    def started(self):
        """The pids that have served in slot 0, oldest first."""
        return [int(pid) for pid in re.findall(r'"worker_started","slot":0,"pid":(\d+)', self.server.log())]

    def test_slot_that_stays_empty_is_served_by_a_sibling(self):
        for count in range(1, 7):  # killed before it is ready, until the master pauses
            pid = eventually(lambda least=count: len(self.started()) >= least and self.started()[-1], "a worker starts")
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: '"event":"slot_lent","slot":0,"to":1' in self.server.log(), "the other one accepts there")
        for _ in range(20):  # each on a connection of its own, so that about half of them come to the empty slot
            self.expect(200, "GET", "/api/probe")


class Stuck(Case):
    @classmethod
    def make_server(cls):
        return ProbeServer(workers=1, stuck_ms=4000)

    def test_worker_that_hangs_is_killed_and_replaced(self):
        pid = workers(self.server)[0]
        os.kill(pid, signal.SIGSTOP)
        eventually(lambda: f'"event":"worker_stuck","slot":0,"pid":{pid}' in self.server.log(), "it is noticed")
        eventually(lambda: ready_workers(self.server) == 2, "another one is ready")
        self.assertNotIn(pid, workers(self.server))
        self.expect(200, "GET", "/api/probe")

    def test_busy_but_answering_worker_stays(self):
        pid = eventually(lambda: workers(self.server), "a worker")[0]
        self.assertTrue(self.expect(200, "GET", "/api/slow?ms=4000").json["slept"])
        self.assertEqual(workers(self.server), [pid])


class Ends(unittest.TestCase):
    """Each test starts servers of its own."""

    def start(self, make=ProbeServer, **settings):
        server = make(**settings)
        self.addCleanup(server.remove)
        self.addCleanup(server.kill)
        return server.start()

    @staticmethod
    def ended(server):
        """The exit code of a server that ends by itself."""
        code = server.process.wait(120)
        server.process.stdout.close()
        server.process = None
        return code

    def test_sigterm_finishes_what_is_in_flight(self):
        server = self.start(workers=2)
        pids, answers = workers(server), []
        asking = threading.Thread(target=lambda: answers.append(call(server.port, "GET", "/api/slow?ms=1500")))
        asking.start()
        eventually(lambda: '"event":"probe_waits"' in server.log(), "the request has begun")
        self.assertEqual(server.stop(), 0)
        asking.join()
        self.assertEqual([(answer.status, answer.json["slept"]) for answer in answers], [(200, True)])
        self.assertFalse([pid for pid in pids if is_alive(pid)])
        with self.assertRaises(OSError):
            call(server.port, "GET", "/api/probe")

    def test_sigint_ends_too_and_idle_connections_do_not_hold_it(self):
        server = self.start()
        idle = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        idle.request("GET", "/api/probe", headers={"Host": "acme.localhost"})
        self.assertEqual(idle.getresponse().read()[:1], b"{")
        server.process.send_signal(signal.SIGINT)
        self.assertEqual(self.ended(server), 0)
        idle.close()

    def test_second_sigterm_does_not_wait(self):
        server = self.start(drain_ms=3600000)
        asking = threading.Thread(target=self.ask_in_vain, args=(server.port,))
        asking.start()
        eventually(lambda: '"event":"probe_waits"' in server.log(), "the request has begun")
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: '"event":"draining"' in server.log(), "it drains")
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.ended(server), 0)
        asking.join()

    @staticmethod
    def ask_in_vain(port):
        try:
            call(port, "GET", "/api/slow?ms=9000")
        except (OSError, http.client.HTTPException):
            pass

    def test_workers_end_when_the_master_is_killed(self):
        server = self.start(workers=2)
        pids = workers(server)
        self.assertEqual(len(pids), 2)
        server.process.kill()
        self.ended(server)
        eventually(lambda: not [pid for pid in pids if is_alive(pid)], "the workers end")
        server.start()
        self.assertEqual(call(server.port, "GET", "/api/probe").status, 200)

    def test_port_that_is_taken_is_refused(self):
        first = self.start()
        second = Server(port=first.port)
        self.addCleanup(second.remove)
        result = second.run("serve")
        self.assertEqual(result.returncode, 1)
        self.assertIn(f"perigee: cannot listen on 127.0.0.1:{first.port}: another server is using this port",
                      result.stderr)
        self.assertEqual(call(first.port, "GET", "/api/probe").status, 200)

    def test_two_servers_share_a_data_folder(self):
        first = self.start()
        second = self.start(data=first.data)
        body = {"name": "Shared", "sku": "SHARED-1", "price": 1.50, "stock": 1}
        made = call(first.port, "POST", "/api/products", json=body, key="owner")
        self.assertEqual(made.status, 201, made)
        self.assertEqual(call(second.port, "GET", "/api/products/by-sku/SHARED-1").json["id"], made.json["id"])
        for server in (first, second):
            result = server.run("reload", "--wait")
            self.assertEqual((result.returncode, result.stdout), (0, "nothing has changed\n"), result.stderr)

    def test_inherited_sockets_are_served(self):
        server = ProbeServer()
        self.addCleanup(server.remove)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", server.port))
            listener.listen(64)
            with open(server.log_path, "ab") as log:
                server.process = subprocess.Popen(
                    ["sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', "sh", *server.command("serve")],
                    env=server.environment(), cwd=server.folder, stdout=subprocess.PIPE, stderr=log,
                    pass_fds=(3,), preexec_fn=lambda: os.dup2(listener.fileno(), 3))
            self.addCleanup(server.kill)
            server.await_listening()
            self.assertEqual(call(server.port, "GET", "/api/probe").json["text"], "first")
            self.assertEqual(server.stop(), 0)

    def test_several_addresses(self):
        second = "::1" if self.has_ipv6() else "127.0.0.2"
        server = self.start(host="127.0.0.1, " + second)
        for host in ("127.0.0.1", second):
            connection = http.client.HTTPConnection(host, server.port, timeout=60)
            connection.request("GET", "/api/probe", headers={"Host": "acme.localhost"})
            self.assertEqual(connection.getresponse().status, 200)
            connection.close()

    @staticmethod
    def has_ipv6():
        try:
            with socket.socket(socket.AF_INET6) as probe:
                probe.bind(("::1", 0))
            return True
        except OSError:
            return False

    def test_port_zero_takes_a_free_one(self):
        server = ProbeServer()
        self.addCleanup(server.remove)
        self.addCleanup(server.kill)
        environment = dict(server.environment(), PERIGEE_PORT="0")
        with open(server.log_path, "ab") as log:
            server.process = subprocess.Popen(server.command("serve"), env=environment, cwd=server.folder,
                                              stdout=subprocess.PIPE, stderr=log)
        line = server.process.stdout.readline().decode()
        self.assertRegex(line, r"^perigee: listening on http://127\.0\.0\.1:\d+$")
        self.assertEqual(call(int(line.rsplit(":", 1)[1]), "GET", "/api/probe").status, 200)

    def test_worker_cannot_run_programs(self):
        server = self.start()
        with open(f"/proc/{workers(server)[0]}/status", encoding="ascii") as source:
            status = dict(line.split(":\t", 1) for line in source.read().splitlines() if ":\t" in line)
        self.assertEqual((status["Seccomp"].strip(), status["NoNewPrivs"].strip()), ("2", "1"))



if __name__ == "__main__":
    main()
