#!/usr/bin/env python3
"""test_redis_urls.py: the ways to a Redis: an ACL user, TLS, a Unix socket, a database number; and one that fails."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lib.case import main  # noqa: E402
from lib.chaos import ChaosCase  # noqa: E402
from lib.engines import Single  # noqa: E402
from lib.resp import Resp  # noqa: E402

PASSWORD = "p: w@/d%"


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
    """The rights that docs/operating.md asks for; the test itself looks by another user."""

    options = {"user": "shop", "password": PASSWORD, "rules": "~* &* +@all -@admin -@dangerous",
               "settings": ["user looker on >looker ~* +@all"]}

    def carts(self):
        with Resp(self.redis.node.port, user="looker", password="looker") as client:
            return client.call("KEYS", "cart:*")

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


if __name__ == "__main__":
    main()
