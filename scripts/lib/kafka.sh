# shellcheck shell=bash
# Apache Kafka: one node that is broker and controller (KRaft).

KAFKA_USER=archive

java_command() { if [[ -n ${JAVA_HOME:-} ]]; then printf '%s/bin/java' "$JAVA_HOME"; else printf java; fi; }

# Kafka 4's broker needs Java 17.
java_is_recent() {
  local version
  version=$("$(java_command)" -version 2>&1) || return 1
  [[ $version =~ \"([0-9]+) ]] && ((BASH_REMATCH[1] >= 17))
}

# Without the optimising compiler a broker is up after 5 s of processor time instead of 11, and on two
# cores it takes and gives records of 1.5 kB as fast as with it (130,000 and 400,000 a second with kcat).
# Measurements want it all the same: they set KAFKA_JVM_FLAGS to nothing.
read -ra KAFKA_JVM_OPTIONS <<<"${KAFKA_JVM_FLAGS--XX:TieredStopAtLevel=1}"
KAFKA_JAVA_OPTIONS=(
  "${KAFKA_JVM_OPTIONS[@]}"
  -Djava.awt.headless=true
  -Dlog4j2.configurationFile="$SCRIPTS/kafka/log4j2.properties"
  -cp "$KAFKA_LIBS/*"
)

# kafka_class CLASS ARGS…: one of Kafka's short-lived programs.
kafka_class() {
  "$(java_command)" -XX:+UseSerialGC -Dkafka.log.level=WARN "${KAFKA_JAVA_OPTIONS[@]}" "$@"
}

kafka_unavailable() {
  have_kafka || printf '; Java 17 or later and the jars that scripts/services install fetches'
  have openssl || printf '; openssl (apt-get install openssl)'
}

kafka_properties() {
  local host=127.0.0.1 listener mechanism login=org.apache.kafka.common.security
  cat "$SCRIPTS/kafka/server.properties"
  cat <<END

listeners=PLAINTEXT://$host:$KAFKA_PORT,SASL_PLAINTEXT://$host:$KAFKA_SASL_PLAINTEXT_PORT,SASL_SSL://$host:$KAFKA_SASL_SSL_PORT,CONTROLLER://$host:$KAFKA_CONTROLLER_PORT
controller.quorum.voters=1@$host:$KAFKA_CONTROLLER_PORT
log.dirs=$DIR/kafka/data
ssl.keystore.type=PEM
ssl.keystore.location=$DIR/tls/server-with-key.pem
END
  for listener in sasl_plaintext sasl_ssl; do
    echo "listener.name.$listener.sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN"
    for mechanism in scram-sha-256 scram-sha-512; do
      echo "listener.name.$listener.$mechanism.sasl.jaas.config=$login.scram.ScramLoginModule required;"
    done
    echo "listener.name.$listener.plain.sasl.jaas.config=$login.plain.PlainLoginModule required user_$KAFKA_USER=\"$KAFKA_PASSWORD\";"
  done
}

# The first time: the configuration, and a storage that knows the SCRAM user from its first record on.
kafka_prepare() {
  local home=$DIR/kafka user="[name=$KAFKA_USER,password=$KAFKA_PASSWORD]"
  [[ -f $home/data/meta.properties ]] && return
  rm -rf "$home"
  mkdir -m 700 "$home"
  kafka_properties >"$home/server.properties"
  kafka_class kafka.tools.StorageTool format --config "$home/server.properties" \
    "--cluster-id=$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=')" \
    --add-scram "SCRAM-SHA-256=$user" --add-scram "SCRAM-SHA-512=$user" >>"$DIR/logs/kafka.log" 2>&1
}

kafka_start() {
  kafka_prepare
  launch kafka "$(java_command)" -Xmx1g -XX:+ExitOnOutOfMemoryError "${KAFKA_JAVA_OPTIONS[@]}" \
    kafka.Kafka "$DIR/kafka/server.properties"
  await_answer kafka 120 kafka_answers
}

# Ready is when a consumer group can be served: the first such question makes the broker create the topic of
# the offsets, and clients that give up on "not coordinator" (hop-client does) would meet that moment.
# The two requests, FindCoordinator and DescribeGroups in version 0 for group "x", are written out because
# any client would take longer to start than the broker takes to answer.
kafka_answers() {
  local find='\0\0\0\x0d\0\x0a\0\0\0\0\0\x01\xff\xff\0\x01x'
  local describe='\0\0\0\x11\0\x0f\0\0\0\0\0\x01\xff\xff\0\0\0\x01\0\x01x'
  [[ $(kafka_error "$find" 8) == 0000 && $(kafka_error "$describe" 12) == 0000 ]]
}

# kafka_error REQUEST POSITION: the error code, two bytes as hexadecimal, at that position of the answer.
kafka_error() {
  {
    printf '%b' "$1" >&7
    timeout 2 head -c $(($2 + 2)) <&7 | tail -c +$(($2 + 1)) | od -An -tx1 | tr -d ' \n'
  } 2>/dev/null 7<>"/dev/tcp/127.0.0.1/$KAFKA_PORT"
}

kafka_stop() { stop_process kafka TERM 40; }

kafka_env() {
  put TEST_KAFKA "127.0.0.1:$KAFKA_PORT"
  # For tests that start a Kafka of their own.
  put TEST_KAFKA_LIBS "$KAFKA_LIBS"
  put TEST_KAFKA_SASL_PLAINTEXT "127.0.0.1:$KAFKA_SASL_PLAINTEXT_PORT"
  put TEST_KAFKA_SASL_SSL "127.0.0.1:$KAFKA_SASL_SSL_PORT"
  put TEST_KAFKA_USER "$KAFKA_USER"
  put TEST_KAFKA_PASSWORD "$KAFKA_PASSWORD"
}

# kafka_tool CLASS ARGS…: against this broker, unless the arguments name another or the tool reads files.
kafka_tool() {
  local class=$1
  shift
  have_kafka || die "Kafka's jars are not installed: ${REMEDY[kafka]}"
  case "$class $*" in
    *' --bootstrap-'* | kafka.tools.*) kafka_class "$class" "$@" ;;
    # First, because some tools take it only before their subcommand.
    *) kafka_class "$class" --bootstrap-server "127.0.0.1:$KAFKA_PORT" "$@" ;;
  esac
}
