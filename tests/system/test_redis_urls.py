#!/usr/bin/env python3
"""test_redis_urls.py: the ways to a Redis, a Cluster and Sentinels: an ACL user, TLS, a Unix socket, a database number;
and ways that fail."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import main  # noqa: E402
from lib.chaos import ChaosCase  # noqa: E402
from lib.engines import MASTER_NAME, Cluster, Sentinels, Single, until  # noqa: E402
from lib.server import eventually  # noqa: E402

PASSWORD = "p: w@/d%"
SENTINEL_PASSWORD = "a-word-of-sentinels"
# What docs/operating.md asks for.
RULES = "~* &* +@all -@admin -@dangerous"


class Way(ChaosCase):
    """A server that came this way keeps its carts in that Redis."""

    options = {}
    db = 0

    @classmethod
    def start_engine(cls):
        cls.redis = Single(**cls.options)

    @classmethod
    def stop_engine(cls):
        cls.redis.close()

    @classmethod
    def redis_url(cls):
        return cls.redis.url

    def carts(self):
        with self.redis.node.client() as client:
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
    def redis_url(cls):
        return cls.redis.unix_url

    def test_unix_socket(self):
        self.check_way()


class Database(Way):
    db = 3

    @classmethod
    def redis_url(cls):
        return cls.redis.url + "/3"

    def test_database(self):
        self.check_way()


class ByName(Way):
    """Which may mean addresses where no Redis listens, too."""

    @classmethod
    def redis_url(cls):
        return cls.redis.url.replace("127.0.0.1", "localhost")

    def test_name(self):
        self.check_way()


class UnknownAuthority(Way):
    """A certificate that nobody vouches for is no Redis."""

    options = {"tls": True}

    @classmethod
    def redis_url(cls):
        return cls.redis.url.split("?")[0]

    @classmethod
    def await_service(cls):
        """There is none."""

    def test_unknown_authority(self):
        self.check_without_redis()
        self.assertEqual(self.carts(), [])


class Guarded:
    """Several servers that speak TLS only and know an ACL user, who has another password at first."""

    @classmethod
    def await_service(cls):
        """Not before the password is right."""

    @classmethod
    def change(cls, nodes, user, word):
        for node in nodes:
            node.call("ACL", "SETUSER", user, "resetpass", ">" + word)

    def check_refusal(self):
        """The wrong password is said by name, and what needs no Redis is served."""
        self.check_without_redis()
        eventually(lambda: "AUTH was refused: WRONGPASS" in self.server.log(), "the log says why")

    def check_service(self):
        super().await_service()
        for word in (PASSWORD, SENTINEL_PASSWORD, "another word"):
            self.assertNotIn(word, self.server.log())


class GuardedCluster(Guarded, ChaosCase):
    @classmethod
    def start_engine(cls):
        cls.cluster = Cluster(user="shop", password=PASSWORD, rules=RULES, keeper="keeper", tls=True)
        cls.change(cls.cluster.nodes, "shop", "another word")

    @classmethod
    def stop_engine(cls):
        cls.cluster.close()

    @classmethod
    def redis_url(cls):
        return cls.cluster.url

    def test_cluster(self):
        self.check_refusal()
        self.change(self.cluster.nodes, "shop", PASSWORD)
        self.check_service()
        eventually(lambda: self.fill() and all(node.call("KEYS", "cart:*") for node in self.cluster.masters()),
                   "every master holds carts")


class GuardedSentinels(Guarded, ChaosCase):
    @classmethod
    def start_engine(cls):
        cls.group = Sentinels(user="shop", password=PASSWORD, rules=RULES + " +role", keeper="keeper", tls=True,
                              sentinel_password=SENTINEL_PASSWORD)
        cls.change([cls.group.master, cls.group.replica], "shop", "another word")

    @classmethod
    def stop_engine(cls):
        cls.group.close()

    @classmethod
    def redis_url(cls):
        return cls.group.url

    def test_sentinels(self):
        """They are followed to another master too."""
        self.check_refusal()
        self.change([self.group.master, self.group.replica], "shop", PASSWORD)
        self.check_service()
        until(self.group.settled, "the group is whole")
        old = self.group.master_port()
        until(lambda: self.group.sentinels[0].call("SENTINEL", "FAILOVER", MASTER_NAME) == b"OK", "they begin")
        until(lambda: self.group.master_port() not in (None, old), "the Sentinels elect")
        self.check_service()
        self.assertTrue(self.group.replica.call("KEYS", "cart:*"))


class StrangerToSentinels(ChaosCase):
    """The Sentinels themselves refuse the password."""

    @classmethod
    def start_engine(cls):
        cls.group = Sentinels(sentinel_password="another word")
        cls.url = cls.group.url.replace("another%20word", SENTINEL_PASSWORD)

    @classmethod
    def stop_engine(cls):
        cls.group.close()

    @classmethod
    def redis_url(cls):
        return cls.url

    @classmethod
    def await_service(cls):
        """Not before the password is right."""

    def test_sentinels(self):
        self.check_without_redis()
        eventually(lambda: "AUTH was refused: WRONGPASS" in self.server.log(), "the log says why")
        self.assertNotIn(SENTINEL_PASSWORD, self.server.log())
        for node in self.group.sentinels:
            node.call("ACL", "SETUSER", "default", ">" + SENTINEL_PASSWORD)
        super().await_service()


if __name__ == "__main__":
    main()
