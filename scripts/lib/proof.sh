# shellcheck shell=bash
# For scripts/torture and scripts/bench: the program built, services of their own, and a Python program that
# works with both. After it, everything is gone; after a failure, all that it left is kept.

# prove NAME ARGUMENT…: runs scripts/python/NAME.py with --program, --dir and the arguments.
prove() {
  local name=$1 environment code=0
  shift
  cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 3
  PROOF_DIR=$(mktemp -d "${TMPDIR:-/tmp}/archive-ingest-$name.XXXXXX")
  # PostgreSQL's user must be able to walk through.
  chmod 711 "$PROOF_DIR"
  trap stop_services EXIT
  cargo build --release --locked --bin archive_ingest >&2
  # A copy: whoever builds meanwhile does not change what is proved.
  cp target/release/archive_ingest "$PROOF_DIR/archive_ingest"
  # A proof needs all of them.
  environment=$(CI=true scripts/services up --dir "$PROOF_DIR/services")
  # shellcheck disable=SC1090 # written by the line above
  source "$environment"
  "${TEST_PY_CLIENTS:?is not installed: scripts/services install tells what it needs}" -B \
    "scripts/python/$name.py" --program "$PROOF_DIR/archive_ingest" --dir "$PROOF_DIR" "$@" &
  PROOF_PID=$!
  # It ends its own processes; after that the services are stopped.
  trap 'kill -TERM "$PROOF_PID"' INT TERM
  wait "$PROOF_PID" || code=$?
  # A signal ends the first wait and not the program.
  ! kill -0 "$PROOF_PID" 2>/dev/null || { code=0; wait "$PROOF_PID" || code=$?; }
  PROOF_CODE=$code
  exit "$code"
}

# Keeps the directory unless all is well: logs, the configuration, and the data of the services.
stop_services() {
  scripts/services down --dir "$PROOF_DIR/services" >&2 || true
  if [[ ${PROOF_CODE:-1} == 0 ]]; then
    rm -rf "$PROOF_DIR"
  else
    printf '%s: what is left of it, with logs: %s\n' "$0" "$PROOF_DIR" >&2
  fi
}
