//! One connection to one broker: TCP or TLS, SASL, requests and responses.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::ReadError;
use super::scram::Scram;
use super::settings::{Mechanism, Sasl, Settings};
use super::wire::{Reader, Writer};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const IO_TIMEOUT: Duration = Duration::from_secs(40);

/// A larger response is refused: a broker's largest batch is far smaller.
pub(super) const MAX_RESPONSE_BYTES: usize = 1 << 30;

/// Keys of Kafka's requests.
pub(super) mod api {
    pub const FETCH: i16 = 1;
    pub const LIST_OFFSETS: i16 = 2;
    pub const METADATA: i16 = 3;
    pub const SASL_HANDSHAKE: i16 = 17;
    pub const API_VERSIONS: i16 = 18;
    pub const OFFSET_FOR_LEADER_EPOCH: i16 = 23;
    pub const SASL_AUTHENTICATE: i16 = 36;
}

pub(super) struct Connection {
    stream: Stream,
    address: String,
    client_id: String,
    correlation: i32,
    /// The lowest and highest version of each request.
    versions: BTreeMap<i16, (i16, i16)>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<native_tls::TlsStream<TcpStream>>),
}

impl Connection {
    pub fn open(settings: &Settings, host: &str, port: u16) -> Result<Self, ReadError> {
        let address = format!("{host}:{port}");
        let stream = connect(host, port)
            .map_err(|error| ReadError::Connection(format!("{address}: {error}")))?;
        let stream = match &settings.tls {
            None => Stream::Plain(stream),
            Some(connector) => match connector.connect(host, stream) {
                Ok(stream) => Stream::Tls(Box::new(stream)),
                Err(native_tls::HandshakeError::Failure(error)) => {
                    return Err(ReadError::Connection(format!(
                        "{address}: TLS: {error}: check hop-security-protocol and hop-ssl-ca-location"
                    )));
                }
                Err(native_tls::HandshakeError::WouldBlock(_)) => {
                    return Err(ReadError::Connection(format!("{address}: TLS timed out")));
                }
            },
        };
        let mut connection = Self {
            stream,
            address,
            client_id: settings.client_id.clone(),
            correlation: 0,
            versions: BTreeMap::new(),
        };
        connection.ask_versions()?;
        if let Some(sasl) = &settings.sasl {
            connection.authenticate(sasl)?;
        }
        Ok(connection)
    }

    fn ask_versions(&mut self) -> Result<(), ReadError> {
        let response = self.exchange(api::API_VERSIONS, 0, &Writer::default())?;
        let mut response = Reader(&response);
        let code = response.i16()?;
        if code != 0 {
            return Err(self.unreadable(format!("ApiVersions failed with error {code}")));
        }
        for _ in 0..response.count()? {
            let range = (response.i16()?, (response.i16()?, response.i16()?));
            self.versions.insert(range.0, range.1);
        }
        Ok(())
    }

    fn authenticate(&mut self, sasl: &Sasl) -> Result<(), ReadError> {
        let mechanism = sasl.mechanism.name();
        let mut request = Writer::default();
        request.string(mechanism);
        let response = self.exchange(api::SASL_HANDSHAKE, 1, &request)?;
        let mut response = Reader(&response);
        if response.i16()? != 0 {
            let count = response.count()?;
            let offered: Result<Vec<&str>, _> = (0..count).map(|_| response.string()).collect();
            return Err(self.refused(format!(
                "it offers {} and not {mechanism}: check hop-sasl-mechanism",
                offered?.join(", ")
            )));
        }
        let is_512 = match sasl.mechanism {
            Mechanism::Plain => {
                let token = format!("\0{}\0{}", sasl.username, sasl.password);
                return self.sasl_step(token.as_bytes()).map(|_| ());
            }
            Mechanism::ScramSha256 => false,
            Mechanism::ScramSha512 => true,
        };
        let mut scram = Scram::new(&sasl.username, &sasl.password, is_512);
        let challenge = self.sasl_step(scram.first().as_bytes())?;
        let answer = scram.last(&challenge).map_err(|why| self.refused(why))?;
        let last = self.sasl_step(answer.as_bytes())?;
        scram.confirm(&last).map_err(|why| self.refused(why))
    }

    fn sasl_step(&mut self, token: &[u8]) -> Result<Vec<u8>, ReadError> {
        let mut request = Writer::default();
        request.bytes(token);
        let response = self.exchange(api::SASL_AUTHENTICATE, 0, &request)?;
        let mut response = Reader(&response);
        let code = response.i16()?;
        let message = response.nullable_string()?;
        if code != 0 {
            return Err(self.refused(format!(
                "authentication failed ({}): check user and password \
                 (hop-local-auth, HOP_USERNAME, HOP_PASSWORD) and hop-sasl-mechanism",
                message.unwrap_or("no reason given")
            )));
        }
        Ok(response.bytes()?.to_vec())
    }

    /// The highest version that both sides know, of those given.
    pub fn version(&self, key: i16, known: &[i16]) -> Result<i16, ReadError> {
        let (low, high) = self.versions.get(&key).copied().unwrap_or((0, -1));
        let mut both = known.iter().filter(|v| (low..=high).contains(*v));
        both.next_back().copied().ok_or_else(|| {
            self.unreadable(format!(
                "it knows request {key} in versions {low} to {high}, the second reader in {known:?}"
            ))
        })
    }

    /// Sends a request and returns the body of its response.
    pub fn exchange(
        &mut self,
        key: i16,
        version: i16,
        body: &Writer,
    ) -> Result<Vec<u8>, ReadError> {
        self.correlation = self.correlation.wrapping_add(1);
        let mut header = Writer::default();
        header.i16(key).i16(version).i32(self.correlation);
        header.string(&self.client_id);
        let mut frame = Writer::default();
        frame.count(header.0.len() + body.0.len());
        frame.0.extend(&header.0);
        frame.0.extend(&body.0);
        let exchanged = self.write(&frame.0).and_then(|()| self.read());
        let response = exchanged.map_err(|error| match error {
            ReadError::Connection(why) => ReadError::Connection(format!("{}: {why}", self.address)),
            other => other,
        })?;
        let mut rest = Reader(&response);
        if rest.i32()? != self.correlation {
            return Err(self.unreadable("a response answers another request".to_owned()));
        }
        Ok(response[4..].to_vec())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), ReadError> {
        let written = match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
            Stream::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        };
        written.map_err(|error| ReadError::Connection(error.to_string()))
    }

    fn read(&mut self) -> Result<Vec<u8>, ReadError> {
        let size = i32::from_be_bytes(self.read_exactly(4)?.try_into().unwrap_or_default());
        match usize::try_from(size) {
            Ok(size) if (4..=MAX_RESPONSE_BYTES).contains(&size) => self.read_exactly(size),
            _ => Err(self.unreadable(format!(
                "a response of {size} bytes, where at most {MAX_RESPONSE_BYTES} are read: \
                 this is no Kafka listener without TLS, or a batch is too large"
            ))),
        }
    }

    /// Memory grows with what comes, not with what is announced.
    fn read_exactly(&mut self, count: usize) -> Result<Vec<u8>, ReadError> {
        let mut bytes = Vec::with_capacity(count.min(1 << 20));
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.take(count as u64).read_to_end(&mut bytes),
            Stream::Tls(stream) => stream.take(count as u64).read_to_end(&mut bytes),
        };
        match read {
            Ok(read) if read == count => Ok(bytes),
            Ok(_) => Err(ReadError::Connection(
                "the broker closed the connection".to_owned(),
            )),
            Err(error) => Err(ReadError::Connection(error.to_string())),
        }
    }

    fn refused(&self, why: String) -> ReadError {
        ReadError::Refused(format!("{}: {why}", self.address))
    }

    fn unreadable(&self, why: String) -> ReadError {
        ReadError::Unreadable(format!("{}: {why}", self.address))
    }
}

fn connect(host: &str, port: u16) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => {
                stream.set_read_timeout(Some(IO_TIMEOUT))?;
                stream.set_write_timeout(Some(IO_TIMEOUT))?;
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
