# shellcheck shell=bash
# Fetches what is missing into the cache, each thing by the ordinary client of its registry.
# For every NAME in INSTALLABLE: have_NAME (is it there, in the pinned version?), install_NAME, and what
# to tell the user when neither succeeds.
# Its variables are for the files that source it:
# shellcheck disable=SC2034

MINIO_MODULE=github.com/minio/minio
MINIO_VERSION=v0.0.0-20260212201848-7aac2a2c5b7c
MC_MODULE=github.com/minio/mc
MC_VERSION=v0.0.0-20250313080218-cf909e1063a9
TOXIPROXY_MODULE=github.com/Shopify/toxiproxy/v2/cmd/server
TOXIPROXY_VERSION=v2.5.0

REGISTRY_VERSION=2.6.13.Final

KAFKA_LIBS=$CACHE/kafka/libs
REGISTRY_HOME=$CACHE/registry/$REGISTRY_VERSION
MINIO=$CACHE/minio/$MINIO_VERSION/minio
MC=$CACHE/mc/$MC_VERSION/mc
TOXIPROXY=$CACHE/toxiproxy/$TOXIPROXY_VERSION/toxiproxy-server
PY_CLIENTS=$CACHE/py-clients/bin/python
PY_BSON=$CACHE/py-bson/bin/python
SCHEMATHESIS=$CACHE/py-schemathesis/bin/schemathesis

PY_AETHER=$CACHE/py-aether/bin/python
ACAPY=$CACHE/py-acapy/bin/aca-py
PY_REGISTRY=$CACHE/py-registry/bin/python

INSTALLABLE=(debian kafka registry toxiproxy py_clients py_bson py_schemathesis py_aether py_acapy py_registry mc minio)
declare -A REMEDY=(
  [debian]='as root: apt-get install kcat postgresql strace'
  [kafka]='Maven (apt-get install maven), Java 17 or later (apt-get install openjdk-17-jre-headless) and a reachable Maven repository; then scripts/services install'
  [registry]='Maven (apt-get install maven), Java 17 or later (apt-get install openjdk-17-jre-headless) and a reachable Maven repository; then scripts/services install'
  [toxiproxy]='Go 1.24 or later and a reachable Go module proxy; then scripts/services install'
  [mc]='Go 1.24 or later and a reachable Go module proxy; then scripts/services install'
  [minio]='Go 1.24 or later and a reachable Go module proxy; then scripts/services install'
  [py_clients]='Python 3.10 or later with venv (apt-get install python3-venv) and a reachable Python package index; then scripts/services install'
  [py_bson]='Python 3.10 or later with venv (apt-get install python3-venv) and a reachable Python package index; then scripts/services install'
  [py_schemathesis]='Python 3.10 or later with venv (apt-get install python3-venv) and a reachable Python package index; then scripts/services install'
  [py_acapy]='Python 3.9 to 3.12 with venv and a reachable Python package index; then scripts/services install'
  [py_registry]='Python 3.10 or later with venv (apt-get install python3-venv) and a reachable Python package index; then scripts/services install'
  [py_aether]='Python 3.10 or later with venv (apt-get install python3-venv) and a reachable Python package index; then scripts/services install'
)

# install_all: everything at once; MinIO's compilation is the only long one, the others wait for the network.
install_all() {
  local name
  all_installed && return
  mkdir -p "$CACHE/logs"
  take_lock "$CACHE/lock"
  for name in "${INSTALLABLE[@]}"; do
    install_one "$name" &
  done
  wait
  exec 9>&-
}

all_installed() {
  local name
  for name in "${INSTALLABLE[@]}"; do
    "have_$name" || return 1
  done
}

install_one() {
  local name=$1 began=$SECONDS
  "have_$name" && return
  log "installing $name"
  # In the background because bash would ignore `set -e` in a function that `if` calls directly.
  "install_$name" >"$CACHE/logs/$name.log" 2>&1 &
  if wait $! && "have_$name"; then
    log "installed $name in $((SECONDS - began)) s"
  else
    tail -n 3 "$CACHE/logs/$name.log" >&2
    note_missing "$name" "${REMEDY[$name]} (log: $CACHE/logs/$name.log)"
  fi
}

# check_all: names what is missing without fetching it.
check_all() {
  local name
  for name in "${INSTALLABLE[@]}"; do
    "have_$name" || note_missing "$name" "${REMEDY[$name]}"
  done
}

have_debian() { have kcat && have strace && [[ -n $(postgres_bin) ]]; }

install_debian() {
  local packages=()
  have kcat || packages+=(kcat)
  have strace || packages+=(strace)
  [[ -n $(postgres_bin) ]] || packages+=(postgresql)
  [[ $(id -u) == 0 ]] || { echo "not root: cannot install ${packages[*]}"; return 1; }
  apt-get update
  DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${packages[@]}"
}

# A copy of the pom beside the jars says which version they are.
have_kafka() { java_is_recent && cmp -s "$SCRIPTS/kafka/pom.xml" "$CACHE/kafka/pom.xml"; }

install_kafka() {
  java_is_recent || { echo "no Java 17 or later"; return 1; }
  rm -rf "$CACHE/kafka"
  mkdir -p "$CACHE/kafka"
  (cd "$CACHE/kafka" && nice mvn -q -B -f "$SCRIPTS/kafka/pom.xml" \
    dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$KAFKA_LIBS")
  cp "$SCRIPTS/kafka/pom.xml" "$CACHE/kafka/pom.xml"
}

have_registry() { java_is_recent && [[ -f $REGISTRY_HOME/complete ]]; }

install_registry() {
  local artifact=io.apicurio:apicurio-registry-app:$REGISTRY_VERSION:tar.gz:all
  java_is_recent || { echo "no Java 17 or later"; return 1; }
  rm -rf "$CACHE/registry"
  mkdir -p "$REGISTRY_HOME"
  (cd "$CACHE/registry" && nice mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy \
    -Dartifact="$artifact" -DoutputDirectory="$CACHE/registry")
  tar -xzf "$CACHE/registry/apicurio-registry-app-$REGISTRY_VERSION-all.tar.gz" -C "$REGISTRY_HOME"
  rm "$CACHE/registry/apicurio-registry-app-$REGISTRY_VERSION-all.tar.gz"
  touch "$REGISTRY_HOME/complete"
}

have_minio() { [[ -x $MINIO ]]; }

install_minio() { GOBIN=$(dirname "$MINIO") nice go install "$MINIO_MODULE@$MINIO_VERSION"; }

have_mc() { [[ -x $MC ]]; }

install_mc() { GOBIN=$(dirname "$MC") nice go install "$MC_MODULE@$MC_VERSION"; }

have_toxiproxy() { [[ -x $TOXIPROXY ]]; }

install_toxiproxy() {
  local bin
  bin=$(dirname "$TOXIPROXY")
  GOBIN=$bin nice go install "$TOXIPROXY_MODULE@$TOXIPROXY_VERSION"
  # The module calls its program just "server".
  mv "$bin/server" "$TOXIPROXY"
}

have_py_clients() { have_venv py-clients; }
install_py_clients() { install_venv py-clients; }
have_py_bson() { have_venv py-bson; }
install_py_bson() { install_venv py-bson; }
have_py_schemathesis() { have_venv py-schemathesis; }
install_py_schemathesis() { install_venv py-schemathesis; }
have_py_aether() { have_venv py-aether; }
install_py_aether() { install_venv py-aether; }
have_py_acapy() { have_venv py-acapy; }

# The agent's own dependencies know no later Python.
install_py_acapy() {
  local python
  for python in python3.11 python3.12 python3.10 python3.9 python3; do
    have "$python" || continue
    "$python" -c 'import sys, venv; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null || continue
    install_venv py-acapy "$python"
    return
  done
  echo "no Python from 3.9 to 3.12"
  return 1
}
have_py_registry() { have_venv py-registry; }
install_py_registry() { install_venv py-registry; }

# A copy of the requirements inside the environment says what it holds.
have_venv() {
  [[ -x $CACHE/$1/bin/python ]] && cmp -s "$SCRIPTS/python/$1.txt" "$CACHE/$1/requirements.txt"
}

# install_venv NAME [PYTHON]
install_venv() {
  "${2:-python3}" -m venv --clear "$CACHE/$1"
  "$CACHE/$1/bin/python" -m pip install --quiet --disable-pip-version-check -r "$SCRIPTS/python/$1.txt"
  cp "$SCRIPTS/python/$1.txt" "$CACHE/$1/requirements.txt"
}
