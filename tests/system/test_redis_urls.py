#!/usr/bin/env python3
"""test_redis_urls.py: the ways to a Redis, a Cluster and Sentinels: an ACL user, TLS, a Unix socket, a database number;
and ways that fail."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import main  # noqa: E402
from lib.cart_case import CartCase  # noqa: E402
from lib.engines import MASTER_NAME, Cluster, Sentinels, Single, until  # noqa: E402
from lib.fault_case import Late  # noqa: E402
from lib.server import eventually  # noqa: E402

PASSWORD = "p: w@/d%"
SENTINEL_PASSWORD = "a-word-of-sentinels"
# What docs/operating.md asks for.
RULES = "~* &* +@all -@admin -@dangerous"


class Way(CartCase):
    """A server that came this way keeps its carts in that Redis."""

    options = {}
    db = 0

    @classmethod
    def make_engine(cls):
        return Single(**cls.options)

    def carts(self):
        with self.engine.node.client() as client:
            client.call("SELECT", self.db)
            return client.call("KEYS", "cart:*")

    def check_way(self):
        session = self.new_session()
        self.assertEqual(self.add(session).status, 200)
        self.assertIn(session, str(self.carts()))
        self.assertNotIn(PASSWORD, self.server.log())


class Password(Way):
    options = {"password": PASSWORD}

    def test_password(self):
        self.check_way()


class AclUser(Way):
    """The test itself looks by another user."""

    options = {"user": "shop", "password": PASSWORD, "rules": RULES, "keeper": "keeper"}

    def test_acl_user(self):
        self.check_way()


class Tls(Way):
    options = {"tls": True, "password": PASSWORD}

    def test_tls(self):
        self.check_way()


class UnixSocket(Way):
    options = {"unix": True, "password": PASSWORD}

    @classmethod
    def engine_url(cls):
        return cls.engine.unix_url

    def test_unix_socket(self):
        self.check_way()


class Database(Way):
    db = 3

    @classmethod
    def engine_url(cls):
        return cls.engine.url + "/3"

    def test_database(self):
        self.check_way()


class NoSuchDatabase(Late, Way):
    """The log says once where, and which."""

    @classmethod
    def engine_url(cls):
        return cls.engine.url + "/99"

    def test_no_such_database(self):
        self.check_without_engine()
        server = self.engine.url.split("@")[-1].split("://")[-1]
        wanted = f'"server":"{server}","detail":"{server}: SELECT 99 was refused: ERR DB index is out of range"'
        eventually(lambda: wanted in self.server.log(), "the log says which database")
        told = [line for line in self.server.log().splitlines() if '"event":"redis_down"' in line]
        self.assertEqual(len(told), 1, told)


class ByName(Way):
    """Which may mean addresses where no Redis listens, too."""

    @classmethod
    def engine_url(cls):
        return cls.engine.url.replace("127.0.0.1", "localhost")

    def test_name(self):
        self.check_way()


class UnknownAuthority(Late, Way):
    """A certificate that nobody vouches for is no Redis."""

    options = {"tls": True}

    @classmethod
    def engine_url(cls):
        return cls.engine.url.split("?")[0]

    def test_unknown_authority(self):
        self.check_without_engine()
        self.assertEqual(self.carts(), [])


class Guarded(Late):
    """Several servers that speak TLS only and know an ACL user, who has another password at first."""

    @classmethod
    def change(cls, nodes, user, word):
        for node in nodes:
            node.call("ACL", "SETUSER", user, "resetpass", ">" + word)

    def check_refusal(self):
        """The wrong password is said by name, and what needs no Redis is served."""
        self.check_without_engine()
        eventually(lambda: "AUTH as shop was refused: WRONGPASS" in self.server.log(), "the log says why")

    def check_service(self):
        super().check_service()
        for word in (PASSWORD, SENTINEL_PASSWORD, "another word"):
            self.assertNotIn(word, self.server.log())


class GuardedCluster(Guarded, CartCase):
    @classmethod
    def make_engine(cls):
        return Cluster(user="shop", password=PASSWORD, rules=RULES, keeper="keeper", tls=True)

    @classmethod
    def start_engine(cls):
        super().start_engine()
        cls.change(cls.engine.nodes, "shop", "another word")

    def test_cluster(self):
        self.check_refusal()
        self.change(self.engine.nodes, "shop", PASSWORD)
        self.check_service()
        eventually(lambda: self.keep() and all(node.call("KEYS", "cart:*") for node in self.engine.masters()),
                   "every master holds carts")


class GuardedSentinels(Guarded, CartCase):
    @classmethod
    def make_engine(cls):
        return Sentinels(user="shop", password=PASSWORD, rules=RULES + " +role", keeper="keeper", tls=True,
                         sentinel_password=SENTINEL_PASSWORD)

    @classmethod
    def start_engine(cls):
        super().start_engine()
        cls.change([cls.engine.master, cls.engine.replica], "shop", "another word")

    def test_sentinels(self):
        """They are followed to another master too."""
        self.check_refusal()
        self.change([self.engine.master, self.engine.replica], "shop", PASSWORD)
        self.check_service()
        until(self.engine.settled, "the group is whole")
        old = self.engine.master_port()
        until(lambda: self.engine.sentinels[0].call("SENTINEL", "FAILOVER", MASTER_NAME) == b"OK", "they begin")
        until(lambda: self.engine.master_port() not in (None, old), "the Sentinels elect")
        self.check_service()
        self.assertTrue(self.engine.replica.call("KEYS", "cart:*"))


class StrangerToSentinels(Late, CartCase):
    """The Sentinels themselves refuse the password."""

    @classmethod
    def make_engine(cls):
        return Sentinels(sentinel_password="another word")

    @classmethod
    def engine_url(cls):
        return cls.engine.url.replace("another%20word", SENTINEL_PASSWORD)

    def test_sentinels(self):
        self.check_without_engine()
        eventually(lambda: "AUTH as default was refused: WRONGPASS" in self.server.log(), "the log says why")
        self.assertNotIn(SENTINEL_PASSWORD, self.server.log())
        for node in self.engine.sentinels:
            node.call("ACL", "SETUSER", "default", ">" + SENTINEL_PASSWORD)
        self.check_service()


if __name__ == "__main__":
    main()
