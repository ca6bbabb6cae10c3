# shellcheck shell=bash
# PostgreSQL, with passwords and TLS as a deployment has them.

PG_USER=archive
PG_DB=archive
PG_SUPERUSER=postgres

# The directory of PostgreSQL's server programs, which Debian keeps out of PATH; 15 is the version that
# the project promises to work with, a later one is better than none. Empty when there is none.
postgres_bin() {
  local bin candidates=(/usr/lib/postgresql/15/bin)
  candidates+=(/usr/lib/postgresql/1[6-9]/bin)
  have pg_config && candidates+=("$(pg_config --bindir)")
  for bin in "${candidates[@]}"; do
    [[ -x $bin/initdb && -x $bin/postgres ]] && printf '%s' "$bin" && return
  done
  return 0
}

# It refuses to run as root: then it runs as the user that its Debian package makes. setpriv becomes the
# program, so that the recorded pid is the server's.
postgres_run_as() {
  [[ $(id -u) == 0 ]] || return 0
  printf '%s\n' setpriv --reuid=postgres --regid=postgres --init-groups --
}

postgres_unavailable() {
  local run_as
  [[ -n $(postgres_bin) ]] || printf '; its server programs (apt-get install postgresql)'
  have openssl || printf '; openssl (apt-get install openssl)'
  mapfile -t run_as < <(postgres_run_as)
  "${run_as[@]}" test -x "$DIR" || printf '; a --dir that user postgres can reach (below /tmp)'
}

# The first time: an empty cluster. --no-sync skips only initdb's own flush of the new files; the server
# that runs on them keeps fsync on.
postgres_prepare() {
  local home=$DIR/postgres run_as
  [[ -f $home/ready ]] && return
  rm -rf "$home"
  mkdir -m 700 "$home"
  (umask 077 && printf '%s\n' "$PG_SUPERPASSWORD" >"$home/password")
  cp "$DIR/tls/server.key" "$DIR/tls/server.pem" "$home"
  [[ $(id -u) != 0 ]] || chown -R postgres "$home"
  mapfile -t run_as < <(postgres_run_as)
  # From a directory that this user, too, can be in.
  (cd / && "${run_as[@]}" "$(postgres_bin)/initdb" --pgdata="$home/data" --username="$PG_SUPERUSER" \
    --pwfile="$home/password" --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-sync) \
    >>"$DIR/logs/postgres.log" 2>&1
  cat >>"$home/data/postgresql.conf" <<END
listen_addresses = '127.0.0.1'
port = $PG_PORT
unix_socket_directories = ''
max_connections = 200
max_prepared_transactions = 10
password_encryption = 'scram-sha-256'
ssl = on
ssl_cert_file = '$home/server.pem'
ssl_key_file = '$home/server.key'
END
  echo 'host all all 127.0.0.1/32 scram-sha-256' >"$home/data/pg_hba.conf"
  rm "$home/password"
  touch "$home/ready"
}

postgres_start() {
  local run_as
  postgres_prepare
  postgres_forget_dead_server
  mapfile -t run_as < <(postgres_run_as)
  launch postgres "${run_as[@]}" "$(postgres_bin)/postgres" -D "$DIR/postgres/data"
  await_answer postgres 60 postgres_answers
  postgres_make_user
}

# A killed server that its parent has not collected yet looks alive to PostgreSQL, which then keeps to the
# lock file that it left.
postgres_forget_dead_server() {
  local pid lock=$DIR/postgres/data/postmaster.pid
  read -r pid 2>/dev/null <"$lock" || return 0
  [[ -n $(start_time "$pid") ]] || rm -f "$lock"
}

postgres_query() {
  PGPASSWORD=$PG_SUPERPASSWORD PGCONNECT_TIMEOUT=2 "$(postgres_bin)/psql" -X -q -t -A -v ON_ERROR_STOP=1 \
    -h 127.0.0.1 -p "$PG_PORT" -U "$PG_SUPERUSER" -d postgres
}

# A port that is open may still answer "the database system is starting up".
postgres_answers() { postgres_query <<<'SELECT 1' >/dev/null 2>&1; }

# Only what is not there: an interrupted first start left anything between nothing and all of it.
postgres_make_user() {
  postgres_query <<END
SELECT 'CREATE ROLE $PG_USER LOGIN CREATEDB PASSWORD ''$PG_PASSWORD'''
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '$PG_USER') \gexec
SELECT 'CREATE DATABASE $PG_DB OWNER $PG_USER'
  WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '$PG_DB') \gexec
END
}

# SIGINT, because SIGTERM lets PostgreSQL wait for every client to leave.
postgres_stop() { stop_process postgres INT 30; }

postgres_env() {
  put TEST_PG_HOST 127.0.0.1
  put TEST_PG_PORT "$PG_PORT"
  put TEST_PG_USER "$PG_USER"
  put TEST_PG_PASSWORD "$PG_PASSWORD"
  put TEST_PG_DB "$PG_DB"
  put TEST_PG_SUPERUSER "$PG_SUPERUSER"
  put TEST_PG_SUPERPASSWORD "$PG_SUPERPASSWORD"
}
