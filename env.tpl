# What `launch` gives to deploy/compose.yaml. It makes .env of this file the
# first time, with a random password for each <random>, readable by you alone;
# edit that one, and `launch` again. .env is never committed.
#
# NAME=value, one a line. A value with a space, #, $ or a quote in it stands in
# 'single quotes'. Variables of your shell do not count: .env alone holds.

# ---- The archiver's image

# Its name, with the registry when it comes from one
# (registry.example.org/group/archive_ingest), and its version: 0.0.0 is what
# development deployments run, the newest 1.x production. It is built here
# where there is none of that name and version.
IMAGE=archive_ingest
TAG=0.0.0

# ---- Ports on this machine; change one that is taken

KAFKA_PORT=9092
POSTGRES_PORT=5432
MINIO_PORT=9000
# MinIO's console, for a browser; MINIO_ROOT_USER and its password let you in.
MINIO_CONSOLE_PORT=9001

# ---- Secrets
# PostgreSQL takes its password when its volume is made: changing DB_PASSWORD
# later takes an ALTER ROLE in the database as well.

# User archive of the database archive.
DB_PASSWORD=<random>
# The owner of everything on MinIO; the archiver does not have it.
MINIO_ROOT_USER=root
MINIO_ROOT_PASSWORD=<random>
# The archiver on MinIO: may read and write objects, and not delete them. 3 to
# 20 characters, and 8 to 40.
S3_ACCESS_KEY_ID=archive_ingest
S3_SECRET_ACCESS_KEY=<random>

# ---- What is archived, and from where

# The Kafka of this deployment. For another one, for instance Hopskotch:
# kafka.scimma.org, 9092, SASL_SSL, and your credential.
HOP_HOSTNAME=kafka
HOP_PORT=19092
# PLAINTEXT, SASL_PLAINTEXT or SASL_SSL.
HOP_SECURITY_PROTOCOL=PLAINTEXT
# SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN.
HOP_SASL_MECHANISM=SCRAM-SHA-512
HOP_USERNAME=
HOP_PASSWORD=
# The consumer group. Another group reads everything again; the archive then
# recognises what it has.
HOP_GROUPNAME=archive_ingest
# Topics or globs, with commas: archived, never archived (beside veto.list),
# readable by anyone.
HOP_TOPICS=*
HOP_VETOED_TOPICS=
HOP_PUBLIC_TOPICS=

# ---- What the archiver tells on stderr (launch --logs archiver)

# error, warn, info, debug or trace.
LOG_LEVEL=info
# text or json.
LOG_FORMAT=text
