# shellcheck shell=bash
# MinIO, an S3 server over one directory.

S3_ACCESS_KEY=archive
S3_BUCKETS=(archive archive-backup)

minio_unavailable() {
  have_minio || printf '; its program, which scripts/services install builds'
  have curl || printf '; curl (apt-get install curl)'
}

minio_start() {
  local bucket
  mkdir -p "$DIR/minio/data"
  chmod 700 "$DIR/minio"
  # It makes a directory of settings in its home, which is not to be the user's.
  HOME=$DIR/minio MINIO_ROOT_USER=$S3_ACCESS_KEY MINIO_ROOT_PASSWORD=$S3_SECRET_KEY MINIO_BROWSER=off \
    MINIO_UPDATE=off launch minio "$MINIO" server --address "127.0.0.1:$S3_PORT" "$DIR/minio/data"
  await_answer minio 60 minio_answers
  for bucket in "${S3_BUCKETS[@]}"; do
    minio_make_bucket "$bucket"
  done
}

minio_answers() { curl -sf -o /dev/null -m 2 --noproxy '*' "http://127.0.0.1:$S3_PORT/minio/health/ready"; }

# 409 is a bucket that an earlier start made.
minio_make_bucket() {
  local code
  code=$(curl -s -o /dev/null -w '%{http_code}' -m 20 --noproxy '*' --aws-sigv4 aws:amz:us-east-1:s3 \
    --config <(printf 'user = "%s:%s"\n' "$S3_ACCESS_KEY" "$S3_SECRET_KEY") \
    -X PUT "http://127.0.0.1:$S3_PORT/$1")
  [[ $code == 200 || $code == 409 ]] || { log "minio: bucket $1 was not made: HTTP $code"; return 1; }
}

minio_stop() { stop_process minio TERM 20; }

minio_env() {
  put TEST_S3_ENDPOINT "http://127.0.0.1:$S3_PORT"
  put TEST_S3_ACCESS_KEY "$S3_ACCESS_KEY"
  put TEST_S3_SECRET_KEY "$S3_SECRET_KEY"
  put TEST_S3_BUCKET "${S3_BUCKETS[0]}"
  put TEST_S3_BACKUP_BUCKET "${S3_BUCKETS[1]}"
}
