# shellcheck shell=bash
# A certificate authority of the run's own, and one certificate for all its servers.

# Does nothing when an earlier `up` made them: clients may hold the CA file.
make_certificates() {
  local tls=$DIR/tls
  [[ -f $tls/server.pem ]] && return
  rm -rf "$tls"
  mkdir -p "$tls"
  (
    umask 077
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 \
      -subj '/CN=archive-ingest test CA' -keyout "$tls/ca.key" -out "$tls/ca.pem" \
      -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
      -subj '/CN=localhost' -keyout "$tls/server.key" -out "$tls/server.csr"
    openssl x509 -req -in "$tls/server.csr" -CA "$tls/ca.pem" -CAkey "$tls/ca.key" -set_serial 1 -days 365 \
      -extfile <(printf '%s\n' basicConstraints=critical,CA:FALSE extendedKeyUsage=serverAuth \
        subjectAltName=DNS:localhost,IP:127.0.0.1) -out "$tls/server.new"
    # Kafka reads key and certificate from one file.
    cat "$tls/server.key" "$tls/server.new" >"$tls/server-with-key.pem"
  ) 2>"$DIR/logs/tls.log"
  # The CA is public; its place must be readable for clients of other users.
  chmod 711 "$tls"
  chmod 644 "$tls/ca.pem"
  mv "$tls/server.new" "$tls/server.pem"
}
