"""A Kafka cluster of a torture's own, whose nodes are stopped, and whose files are damaged."""

import base64
import os
import signal
import subprocess
import time

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from free_ports import free_ports
from harness.services import SCRIPTS

PATIENCE = 120


class OwnKafka:
    """Node 0 is the controller too, and the one that clients are pointed to. Kafka's ids are one more."""

    def __init__(self, directory, nodes):
        self._directory = directory
        self._processes = {}
        controller, *ports = free_ports(nodes + 1)
        self.address = f"127.0.0.1:{ports[0]}"
        cluster = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=")
        for node, port in enumerate(ports):
            data = directory / str(node) / "data"
            data.mkdir(parents=True)
            # What `kafka-storage format` would write, without starting a Java for it.
            (data / "meta.properties").write_text(f"version=1\ncluster.id={cluster}\nnode.id={node + 1}\n")
            text = settings(directory / str(node), node, port, controller)
            (directory / str(node) / "server.properties").write_text(text)
            self.start(node)
        self._admin = AdminClient({"bootstrap.servers": self.address, "log_level": 2})
        self._wait(f"{nodes} nodes", lambda: len(self._admin.list_topics(timeout=5).brokers) == nodes)

    def start(self, node):
        home = self._directory / str(node)
        java = f"{os.environ['JAVA_HOME']}/bin/java" if "JAVA_HOME" in os.environ else "java"
        with open(home / "log", "ab") as output:
            self._processes[node] = subprocess.Popen(
                [
                    *(java, "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
                    f"-Dlog4j2.configurationFile={SCRIPTS / 'kafka' / 'log4j2.properties'}",
                    *("-cp", f"{os.environ['TEST_KAFKA_LIBS']}/*", "kafka.Kafka", home / "server.properties"),
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self, node):
        """Returns when the node has handed its partitions over and ended."""
        process = self._processes.pop(node)
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)

    def close(self):
        for process in self._processes.values():
            process.kill()
            process.wait()

    def create(self, topic, nodes, settings=()):
        """A topic of one partition on these nodes; the first one leads it."""
        new = NewTopic(topic, num_partitions=1, replica_assignment=[[node + 1 for node in nodes]], config=dict(settings))
        self._admin.create_topics([new], operation_timeout=60, request_timeout=90)[topic].result()
        self.wait_for_leader(topic, nodes[0])

    def wait_for_leader(self, topic, node):
        """Until that node leads the topic's partition; `None`: until no node does."""

        def leads():
            partitions = self._admin.list_topics(topic, timeout=5).topics[topic].partitions
            return 0 in partitions and partitions[0].leader == (-1 if node is None else node + 1)

        self._wait(f"{'no node' if node is None else f'node {node}'} leads {topic}", leads)

    def corrupt_batch(self, node, topic, offset):
        """Changes the last byte of the batch with that offset in the log of a node that does not run. Returns
        the batch's first offset and the one after its last."""
        path = self._directory / str(node) / "data" / f"{topic}-0" / "00000000000000000000.log"
        log = bytearray(path.read_bytes())
        at = 0
        while True:
            base = int.from_bytes(log[at : at + 8], "big")
            length = int.from_bytes(log[at + 8 : at + 12], "big")
            end = base + int.from_bytes(log[at + 23 : at + 27], "big") + 1
            if base <= offset < end:
                log[at + 12 + length - 1] ^= 0xFF
                path.write_bytes(log)
                return base, end
            at += 12 + length

    def _wait(self, what, holds):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if holds():
                    return
            except KafkaException:
                pass
            if time.monotonic() > deadline:
                raise RuntimeError(f"Kafka cluster in {self._directory}: never: {what}")
            time.sleep(0.2)


def settings(home, node, port, controller):
    """What holds for every test broker, and after it what is this node's own: the last line of a name counts."""
    listeners = f"PLAINTEXT://127.0.0.1:{port}"
    if node == 0:
        listeners += f",CONTROLLER://127.0.0.1:{controller}"
    own = {
        "node.id": node + 1,
        "process.roles": "broker" if node else "broker,controller",
        "listeners": listeners,
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "log.dirs": home / "data",
        "default.replication.factor": 2,
        "offsets.topic.replication.factor": 2,
        "replica.lag.time.max.ms": 3000,
        "leader.imbalance.check.interval.seconds": 1,
    }
    common = (SCRIPTS / "kafka" / "server.properties").read_text()
    return common + "\n" + "".join(f"{name}={value}\n" for name, value in own.items())
