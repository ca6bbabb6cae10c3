# shellcheck shell=bash
# Apicurio Registry, a schema registry that speaks Confluent's protocol; it keeps everything in memory.

registry_unavailable() {
  have_registry || printf '; Java 17 or later and the program that scripts/services install fetches'
  have curl || printf '; curl (apt-get install curl)'
}

registry_start() {
  mkdir -p "$DIR/registry"
  # Kafka's reasons for its Java options hold here too.
  launch registry "$(java_command)" -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    -Djava.io.tmpdir="$DIR/registry" \
    -Dquarkus.http.host=127.0.0.1 -Dquarkus.http.port="$REGISTRY_PORT" -Dquarkus.log.level=WARN \
    -cp "$REGISTRY_HOME/apicurio-registry-app-$REGISTRY_VERSION-runner.jar:$REGISTRY_HOME/lib/*" \
    io.quarkus.runner.GeneratedMain
  await_answer registry 120 registry_answers
}

registry_answers() {
  curl -sf -o /dev/null -m 2 --noproxy '*' "http://127.0.0.1:$REGISTRY_PORT/apis/ccompat/v7/subjects"
}

registry_stop() { stop_process registry TERM 20; }

registry_env() { put TEST_REGISTRY_URL "http://127.0.0.1:$REGISTRY_PORT/apis/ccompat/v7"; }
