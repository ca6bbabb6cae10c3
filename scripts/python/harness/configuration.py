"""The configuration of the workers."""

from dataclasses import dataclass
from pathlib import Path

TEMPLATE = """\
[archive]
archive-shutdown-seconds = 10
archive-status-interval-seconds = 10
{archive}
[hop-test]
hop-type = "kafka"
hop-hostname = "127.0.0.1"
hop-port = {kafka_port}
hop-security-protocol = "PLAINTEXT"
hop-topic-refresh-interval-seconds = 5
# Short, so that the partitions of a killed worker are soon read by another.
hop-properties = {{ "session.timeout.ms" = 6000, "heartbeat.interval.ms" = 1000 }}

[db-test]
db-type = "postgres"
db-host = "127.0.0.1"
db-port = {pg_port}
db-name = "{pg_database}"
db-username = "{pg_user}"

[store-test]
store-type = "S3"
store-primary-bucket = "{bucket}"
store-endpoint-url = "http://{s3_endpoint}"
store-request-timeout-seconds = 10

[listen]
api-listen = "off"
producer-listen = "off"
"""

PRODUCER_TEMPLATE = """\
[hop-test]
hop-type = "kafka"
hop-hostname = "127.0.0.1"
hop-port = {kafka_port}
hop-security-protocol = "PLAINTEXT"

[db-test]
db-type = "postgres"
db-host = "127.0.0.1"
db-port = {pg_port}
db-name = "{positions}"
db-username = "{pg_user}"

[kernel-test]
kernel-type = "aether"
kernel-host = "127.0.0.1"
kernel-port = {pg_port}
kernel-name = "{kernel}"
kernel-username = "{pg_user}"
kernel-window-ms = {window_ms}
kernel-margin-ms = {margin_ms}

[produce]
produce-topic-replicas = 1
produce-retry-pause-seconds = 1
{produce}
[listen]
api-listen = "off"
producer-listen = "off"
"""


@dataclass(frozen=True)
class Configuration:
    path: Path
    veto_list: Path

    @property
    def arguments(self):
        """What every command is started with."""
        files = ["--config", str(self.path), "--veto-list", str(self.veto_list)]
        return [*files, "-H", "hop-test", "-D", "db-test", "-S", "store-test"]


def write_configuration(directory, services, *, pg_port=None, s3_endpoint=None, vetoed=(), archive=""):
    """Ports of PostgreSQL and MinIO may be those of a proxy."""
    configuration = Configuration(directory / "housekeeping.toml", directory / "veto.list")
    text = TEMPLATE.format(
        archive=archive,
        kafka_port=services.kafka.rsplit(":", 1)[1],
        pg_port=pg_port or services.pg_port,
        pg_database=services.pg_database,
        pg_user=services.pg_user,
        bucket=services.bucket,
        s3_endpoint=s3_endpoint or services.s3_endpoint,
    )
    configuration.path.write_text(text)
    configuration.veto_list.write_text("".join(f"{topic}\n" for topic in vetoed))
    return configuration


@dataclass(frozen=True)
class ProducerConfiguration:
    path: Path

    @property
    def arguments(self):
        return ["--config", str(self.path), "-H", "hop-test", "-D", "db-test", "-K", "kernel-test"]


def write_producer_configuration(path, services, *, kernel, positions, window_ms, margin_ms, produce=""):
    """`kernel` and `positions` are names of databases."""
    text = PRODUCER_TEMPLATE.format(
        kafka_port=services.kafka.rsplit(":", 1)[1],
        pg_port=services.pg_port,
        pg_user=services.pg_user,
        kernel=kernel,
        positions=positions,
        window_ms=window_ms,
        margin_ms=margin_ms,
        produce=produce,
    )
    path.write_text(text)
    return ProducerConfiguration(path)


def secrets(services):
    """The environment that the program takes its secrets from."""
    return {
        "DB_PASSWORD": services.pg_password,
        "KERNEL_PASSWORD": services.pg_password,
        "S3_ACCESS_KEY_ID": services.s3_access_key,
        "S3_SECRET_ACCESS_KEY": services.s3_secret_key,
    }
