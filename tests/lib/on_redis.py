"""on_redis.py: a private Redis for a class of tests, and a server with two workers on it."""
from lib import engines
from lib.server import Server


class OnRedis:
    """Stands before the case whose tests it runs: class Carts(OnRedis, Case)."""

    redis = None

    @classmethod
    def setUpClass(cls):
        cls.redis = engines.Single()
        try:
            super().setUpClass()
        except BaseException:
            cls.redis.close()
            raise

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            cls.redis.close()

    @classmethod
    def make_server(cls):
        return Server(redis_url=cls.redis.url, workers=2)
