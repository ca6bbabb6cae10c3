#!/bin/sh
# Makes what the archiver needs on MinIO: its buckets, and a user who may read
# and write in them but delete nothing. What is there already stays; the user's
# secret becomes the one given.
#
# Takes MINIO_URL, MINIO_ROOT_USER, MINIO_ROOT_PASSWORD, S3_ACCESS_KEY_ID and
# S3_SECRET_ACCESS_KEY from the environment.
set -eu

# Where mc keeps the owner's credential.
MC_CONFIG_DIR=$(mktemp -d)
export MC_CONFIG_DIR
trap 'rm -rf "$MC_CONFIG_DIR"' EXIT

# Through standard input, because arguments can be read by every process.
printf '%s\n%s\n' "$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD" |
  mc --quiet alias set archive "$MINIO_URL" >/dev/null

# As in housekeeping.toml's local-store. The archiver only checks that the
# backup bucket exists: copying into it is the provider's replication, which
# this MinIO, being alone, does not do.
mc --quiet mb --ignore-existing archive/archive archive/archive-backup

policy=archive-without-delete
mc --quiet admin policy create archive "$policy" "$(dirname "$0")/$policy.json"
printf '%s\n%s\n' "$S3_ACCESS_KEY_ID" "$S3_SECRET_ACCESS_KEY" |
  mc --quiet admin user add archive
# Attaching it twice is an error for some versions of mc.
case $(mc --quiet admin user info archive "$S3_ACCESS_KEY_ID") in
  *"$policy"*) ;;
  *) mc --quiet admin policy attach archive "$policy" --user "$S3_ACCESS_KEY_ID" ;;
esac
