#!/bin/sh
# Creates what the archiver needs on MinIO: its buckets, with Object Lock (and so
# with versioning), and a user who may read them and put objects into the archive,
# but may not delete a version, suspend versioning or shorten a retention. Existing
# buckets and objects stay; the user's secret becomes the one given.
#
# S3 has no right to create an object without the right to replace it. With
# versioning a replaced object stays as a noncurrent version, which verify --repair
# finds. (On AWS deploy/aws/archive-policy.json refuses the replacement too; MinIO
# does not know that condition.)
#
# Takes MINIO_URL, MINIO_ROOT_USER, MINIO_ROOT_PASSWORD, S3_ACCESS_KEY_ID and
# S3_SECRET_ACCESS_KEY from the environment, and optionally ARCHIVE_BUCKET
# (archive), BACKUP_BUCKET (archive-backup) and RETENTION (for example 10y), the
# time during which not even the owner can delete a version by accident
# (GOVERNANCE mode).
set -eu

bucket=${ARCHIVE_BUCKET:-archive}
backup=${BACKUP_BUCKET:-archive-backup}

# Holds the owner's credential, as mc stores it, and the policy.
MC_CONFIG_DIR=$(mktemp -d)
export MC_CONFIG_DIR
trap 'rm -rf "$MC_CONFIG_DIR"' EXIT

# Through standard input, because other users can read a process's arguments.
printf '%s\n%s\n' "$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD" |
  mc --quiet alias set archive "$MINIO_URL" >/dev/null

# Object Lock can only be chosen when a bucket is created; a bucket of an earlier
# deployment gets versioning.
for name in "$bucket" "$backup"; do
  mc --quiet mb --ignore-existing --with-lock "archive/$name"
  mc --quiet version enable "archive/$name"
done
if [ -n "${RETENTION:-}" ]; then
  mc --quiet retention set --default GOVERNANCE "$RETENTION" "archive/$bucket"
fi

# The backup bucket is filled by the provider's replication; the archiver only
# reads it, for verify --repair.
policy=archive-append-$bucket
cat >"$MC_CONFIG_DIR/policy.json" <<END
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": ["s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketLocation", "s3:GetBucketVersioning"],
      "Resource": ["arn:aws:s3:::$bucket", "arn:aws:s3:::$backup"]
    },
    {
      "Effect": "Allow",
      "Action": ["s3:GetObject", "s3:GetObjectVersion"],
      "Resource": ["arn:aws:s3:::$bucket/*", "arn:aws:s3:::$backup/*"]
    },
    {
      "Effect": "Allow",
      "Action": ["s3:PutObject"],
      "Resource": ["arn:aws:s3:::$bucket/*"]
    }
  ]
}
END
mc --quiet admin policy create archive "$policy" "$MC_CONFIG_DIR/policy.json"
printf '%s\n%s\n' "$S3_ACCESS_KEY_ID" "$S3_SECRET_ACCESS_KEY" |
  mc --quiet admin user add archive
# Some versions of mc fail when a policy is attached a second time.
case $(mc --quiet admin user info archive "$S3_ACCESS_KEY_ID") in
  *"$policy"*) ;;
  *) mc --quiet admin policy attach archive "$policy" --user "$S3_ACCESS_KEY_ID" ;;
esac
