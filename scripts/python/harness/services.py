"""The services of one run, as scripts/services brought them up."""

import os
import signal
import subprocess
from pathlib import Path

import psycopg

SCRIPTS = Path(__file__).resolve().parents[2]


class Services:
    """Reads the variables that scripts/services wrote; kills and starts single services."""

    def __init__(self, environment=os.environ):
        self.dir = Path(environment["TEST_DIR"])
        self.kafka = environment["TEST_KAFKA"]
        self.pg_port = int(environment["TEST_PG_PORT"])
        self.pg_user = environment["TEST_PG_USER"]
        self.pg_password = environment["TEST_PG_PASSWORD"]
        self.pg_database = environment["TEST_PG_DB"]
        self.s3_endpoint = environment["TEST_S3_ENDPOINT"].removeprefix("http://")
        self.s3_access_key = environment["TEST_S3_ACCESS_KEY"]
        self.s3_secret_key = environment["TEST_S3_SECRET_KEY"]
        self.bucket = environment["TEST_S3_BUCKET"]
        self.toxiproxy = environment.get("TEST_TOXIPROXY")

    @property
    def conninfo(self):
        """For psycopg, without the password: that goes beside it."""
        return f"host=127.0.0.1 port={self.pg_port} user={self.pg_user} dbname={self.pg_database}"

    def connect(self, database=None):
        """A session whose statements are transactions of their own."""
        conninfo = self.conninfo.replace(f"dbname={self.pg_database}", f"dbname={database or self.pg_database}")
        return psycopg.connect(conninfo, password=self.pg_password, autocommit=True)

    def make_database(self, name):
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")

    def kill(self, name):
        """SIGKILL to the service and its children."""
        self._command("kill", name)

    def start(self, name):
        """Starts the service and waits until it answers."""
        self._command("start", name)

    def freeze(self, name):
        os.kill(self.pid(name), signal.SIGSTOP)

    def thaw(self, name):
        os.kill(self.pid(name), signal.SIGCONT)

    def pid(self, name):
        return int((self.dir / "run" / f"{name}.pid").read_text().split()[0])

    def _command(self, command, name):
        done = subprocess.run(
            [SCRIPTS / "services", command, name, "--dir", self.dir],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A Ctrl-C is for the program above, which still needs its services in a known state.
            start_new_session=True,
        )
        if done.returncode != 0:
            raise RuntimeError(f"scripts/services {command} {name}: {done.stdout}")
