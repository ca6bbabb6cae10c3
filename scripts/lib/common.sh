# shellcheck shell=bash
# What every part of scripts/services uses: messages, the cache, a run's directory and settings, processes.
# Linux only: processes are recognised through /proc.
# Its variables are for the files that source it:
# shellcheck disable=SC2034

CACHE=${ARCHIVE_INGEST_CACHE:-$HOME/.cache/archive-ingest}
SERVICES=(kafka postgres minio registry)

log() { printf 'services: %s\n' "$*" >&2; }

die() {
  log "$*"
  exit 3
}

usage_error() {
  log "$*; scripts/services --help tells more"
  exit 2
}

have() { command -v "$1" >/dev/null; }

# --- What could not be had -------------------------------------------------------------------------

# A file and not a variable, because the steps that find something missing run in parallel subshells.
MISSING_LIST=$(mktemp)
trap 'rm -f "$MISSING_LIST"' EXIT

# note_missing NAME WHAT_WOULD_BRING_IT
note_missing() { printf '%s: %s\n' "$1" "$2" >>"$MISSING_LIST"; }

# Nothing missing: 0. Otherwise a list on stderr, and 1 where a CI must not go on with half of the services.
report_missing() {
  [[ -s $MISSING_LIST ]] || return 0
  {
    printf '\n!!! services: MISSING !!!\n'
    sort -u "$MISSING_LIST" | sed 's/^/  - /'
    printf '\n'
  } >&2
  [[ ${CI:-} != true ]]
}

# --- Locks -------------------------------------------------------------------------------------------

# Holds the lock until the script ends. Descriptor 9 is closed for the services, which live longer.
take_lock() {
  exec 9>"$1"
  flock -n 9 && return
  log "waiting for another run that holds $1"
  flock 9
}

# --- A run's directory -------------------------------------------------------------------------------

# open_dir: DIR names a directory that `up` made.
open_dir() {
  DIR=${DIR:-${TEST_DIR:-}}
  [[ -n $DIR ]] || usage_error "name the directory of the run (--dir DIR), or set TEST_DIR"
  [[ -f $DIR/settings ]] || die "$DIR was not made by scripts/services up"
  DIR=$(realpath "$DIR")
  # shellcheck source=/dev/null
  source "$DIR/settings"
}

# make_dir: the same for `up`, which makes the directory, or goes on with one from an earlier run.
make_dir() {
  if [[ -z $DIR ]]; then
    DIR=$(mktemp -d "${TMPDIR:-/tmp}/archive-ingest-services.XXXXXX")
  elif [[ -d $DIR && -n $(ls -A "$DIR") && ! -e $DIR/run/lock ]]; then
    # `down --wipe` removes the directory, so it must hold nothing of anybody else.
    die "$DIR is not empty and not from an earlier run: choose another --dir"
  fi
  mkdir -p "$DIR"/{logs,run}
  DIR=$(realpath "$DIR")
  take_lock "$DIR/run/lock"
  # PostgreSQL does not run as root: its user must be able to walk through to its own part.
  chmod 711 "$DIR"
  if [[ ! -f $DIR/settings ]]; then
    (umask 077 && new_settings >"$DIR/settings.new")
    mv "$DIR/settings.new" "$DIR/settings"
  fi
  # A directory may be older than the registry.
  grep -q '^REGISTRY_PORT=' "$DIR/settings" ||
    printf 'REGISTRY_PORT=%s\n' "$(python3 "$SCRIPTS/python/free_ports.py" 1)" >>"$DIR/settings"
  # shellcheck source=/dev/null
  source "$DIR/settings"
}

random_secret() { od -An -N12 -tx1 /dev/urandom | tr -d ' \n'; }

# Ports and passwords are chosen once, so that a restarted service is where and what it was.
new_settings() {
  local ports name
  mapfile -t ports < <(python3 "$SCRIPTS/python/free_ports.py" 7)
  ((${#ports[@]} == 7)) || die "no free ports: python3 is needed to find them (apt-get install python3)"
  for name in KAFKA KAFKA_SASL_PLAINTEXT KAFKA_SASL_SSL KAFKA_CONTROLLER PG S3 REGISTRY; do
    printf '%s_PORT=%s\n' "$name" "${ports[0]}"
    ports=("${ports[@]:1}")
  done
  for name in KAFKA_PASSWORD PG_PASSWORD PG_SUPERPASSWORD S3_SECRET_KEY; do
    printf '%s=%s\n' "$name" "$(random_secret)"
  done
}

# --- Processes ---------------------------------------------------------------------------------------

# What tells a process from a later one with the same number: its start time, in clock ticks after the
# boot. Empty when there is no such process; one that is dead but not yet waited for is none.
start_time() {
  local stat fields
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  read -ra fields <<<"${stat##*) }"
  [[ ${fields[0]} == Z ]] || printf '%s' "${fields[19]}"
}

# launch NAME COMMAND…: runs detached from this script, its terminal and its working directory, and
# records who it is.
launch() {
  local name=$1
  shift
  (cd / && exec setsid -- "$@") </dev/null >>"$DIR/logs/$name.log" 2>&1 9>&- &
  printf '%s %s\n' "$!" "$(start_time $!)" >"$DIR/run/$name.pid"
}

# pid_of NAME: its recorded pid, if that process still runs; fails otherwise.
pid_of() {
  local pid started
  read -r pid started 2>/dev/null <"$DIR/run/$1.pid" || return 1
  [[ -n $started && $(start_time "$pid") == "$started" ]] || return 1
  printf '%s' "$pid"
}

descendants() {
  local child children
  read -rd '' -a children < <(cat "/proc/$1/task/"*/children 2>/dev/null) || true
  for child in "${children[@]}"; do
    printf '%s\n' "$child"
    descendants "$child"
  done
}

# wait_until SECONDS COMMAND…: polls until the command succeeds; fails when the time is over.
wait_until() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.1
  done
}

is_gone() { ! pid_of "$1" >/dev/null; }

are_gone() {
  local pid
  for pid in "$@"; do
    [[ -z $(start_time "$pid") ]] || return 1
  done
}

# kill_process NAME: as if the power went, its children included: PostgreSQL's would otherwise finish
# what they do, and hold the memory that the next start needs.
kill_process() {
  local pid family
  pid=$(pid_of "$1") || return 0
  mapfile -t family < <(descendants "$pid")
  kill -KILL "$pid" "${family[@]}" 2>/dev/null || true
  wait_until 20 are_gone "$pid" "${family[@]}" || die "$1 (pid $pid) survived SIGKILL"
  rm -f "$DIR/run/$1.pid"
}

# stop_process NAME SIGNAL SECONDS: asks, and kills when the grace is over.
stop_process() {
  local pid
  pid=$(pid_of "$1") || return 0
  kill "-$2" "$pid" 2>/dev/null || true
  wait_until "$3" is_gone "$1" || log "$1 did not stop within $3 s: killing it"
  kill_process "$1"
  rm -f "$DIR/run/$1.pid"
}

# await_answer NAME SECONDS PROBE: until the service answers; at once an error when its process ends.
await_answer() {
  wait_until "$2" answers_or_gone "$1" "$3" && pid_of "$1" >/dev/null && return
  log "$1 does not answer; the end of $DIR/logs/$1.log:"
  tail -n 15 "$DIR/logs/$1.log" >&2
  return 1
}

answers_or_gone() { is_gone "$1" || "$2"; }
