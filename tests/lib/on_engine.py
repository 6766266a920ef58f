"""on_engine.py: classes of tests that stand on an engine of their own, straight or by way of a bad network."""
from lib import engines, postgres
from lib.proxy import Proxy
from lib.server import Server


class OnEngine:
    """Stands before the case whose tests it runs: class Carts(OnRedis, Case). Subclasses say by `make_engine` what it
    is, or start and stop several."""

    engine = None

    @classmethod
    def make_engine(cls):
        raise NotImplementedError

    @classmethod
    def start_engine(cls):
        cls.engine = cls.make_engine()

    @classmethod
    def stop_engine(cls):
        cls.engine.close()

    @classmethod
    def engine_url(cls):
        """The server's way to it."""
        return cls.engine.url

    @classmethod
    def setUpClass(cls):
        cls.start_engine()
        try:
            super().setUpClass()
        except BaseException:
            cls.stop_engine()
            raise

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            cls.stop_engine()


class ByProxy(OnEngine):
    """One node, which the server reaches by way of a proxy."""

    proxy = None

    @classmethod
    def start_engine(cls):
        super().start_engine()
        cls.proxy = Proxy(cls.engine.node.port)

    @classmethod
    def stop_engine(cls):
        cls.proxy.close()
        super().stop_engine()

    @classmethod
    def engine_url(cls):
        return cls.engine.url_at(cls.proxy.port)


class OnRedis(OnEngine):
    """A server with two workers on one Redis."""

    @classmethod
    def make_engine(cls):
        return engines.Single()

    @classmethod
    def make_server(cls):
        return Server(redis_url=cls.engine_url(), workers=2)


class OnPostgres(OnEngine):
    """Servers whose settings lead to one PostgreSQL, whose schema is there."""

    @classmethod
    def make_engine(cls):
        return postgres.Single()

    @classmethod
    def start_engine(cls):
        super().start_engine()
        migrate(postgres_url=cls.engine_url())
        cls.settings = {**cls.settings, "postgres_url": cls.engine_url()}


def migrate(**settings):
    """Brings the schema up, as an operator would."""
    server = Server(**settings)
    try:
        done = server.run("migrate")
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)
    finally:
        server.remove()
