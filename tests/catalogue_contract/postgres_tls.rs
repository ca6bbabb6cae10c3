//! db-sslmode means what it means to libpq.
//!
//! The server here speaks PostgreSQL's protocol as far as the start-up message,
//! which it answers with a refusal that says whether it came encrypted. Its
//! certificate is one for `localhost`, signed by the CA of ca.pem.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;

use archive_ingest::catalogue::{self, CatalogueError};
use archive_ingest::config::{DatabaseConfig, PostgresConfig, SslMode};
use native_tls::{Identity, TlsAcceptor};

const SERVER_CERTIFICATE: &[u8] = include_bytes!("tls/server.pem");
const SERVER_KEY: &[u8] = include_bytes!("tls/server.key");

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Answers connections until the process ends. Gives its port.
fn serve(with_tls: bool) -> u16 {
    let identity = Identity::from_pkcs8(SERVER_CERTIFICATE, SERVER_KEY).unwrap();
    let acceptor = TlsAcceptor::new(identity).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // A client that breaks off is what some of the tests expect.
            let _ = answer(stream.unwrap(), with_tls.then_some(&acceptor));
        }
    });
    port
}

fn answer(mut stream: TcpStream, tls: Option<&TlsAcceptor>) -> std::io::Result<()> {
    let mut first = [0; 8];
    stream.read_exact(&mut first)?;
    if first != SSL_REQUEST {
        return refuse(stream, first, "unencrypted");
    }
    let Some(acceptor) = tls else {
        stream.write_all(b"N")?;
        stream.read_exact(&mut first)?;
        return refuse(stream, first, "unencrypted");
    };
    stream.write_all(b"S")?;
    let mut stream = acceptor.accept(stream).map_err(std::io::Error::other)?;
    stream.read_exact(&mut first)?;
    refuse(stream, first, "encrypted")
}

/// Reads the start-up message to its end and answers with an error.
fn refuse(mut stream: impl Read + Write, first: [u8; 8], how: &str) -> std::io::Result<()> {
    let length = u32::from_be_bytes([first[0], first[1], first[2], first[3]]);
    stream.read_exact(&mut vec![0; length as usize - 8])?;
    let fields = format!("SFATAL\0C28000\0Mcame {how}\0\0");
    let mut message = vec![b'E'];
    message.extend((fields.len() as u32 + 4).to_be_bytes());
    message.extend(fields.as_bytes());
    stream.write_all(&message)?;
    stream.flush()
}

fn pem(name: &str) -> PathBuf {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/catalogue_contract/tls");
    fixtures.join(name)
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Encrypted,
    Unencrypted,
    NotTrusted,
    NoTls,
}
use Outcome::{Encrypted, NoTls, NotTrusted, Unencrypted};

fn outcome(port: u16, mode: SslMode, host: &str, root_cert: Option<&str>) -> Outcome {
    let config = DatabaseConfig::Postgres(PostgresConfig {
        host: host.into(),
        port,
        name: "archive".into(),
        username: "archiver".into(),
        password: Some("secret".into()),
        sslmode: mode,
        sslrootcert: root_cert.map(pem),
        pool_size: 1,
        request_timeout_seconds: 60,
    });
    let Err(error) = catalogue::open(&config) else {
        panic!("this server lets nobody in");
    };
    assert!(matches!(error, CatalogueError::Refused { .. }), "{error}");
    let line = error.to_string();
    for (words, outcome) in [
        ("came encrypted", Encrypted),
        ("came unencrypted", Unencrypted),
        ("no TLS connection (server does not support TLS)", NoTls),
        ("certificate verify failed", NotTrusted),
    ] {
        if line.contains(words) {
            return outcome;
        }
    }
    panic!("{line}");
}

const CA: Option<&str> = Some("ca.pem");
const ANOTHER_CA: Option<&str> = Some("other-ca.pem");

#[test]
fn disable_does_not_encrypt() {
    let port = serve(true);
    assert_eq!(
        outcome(port, SslMode::Disable, "localhost", None),
        Unencrypted
    );
}

#[test]
fn prefer_encrypts_where_it_can_and_goes_on_without_where_it_cannot() {
    let (with_tls, without) = (serve(true), serve(false));
    let prefer = |port, root_cert| outcome(port, SslMode::Prefer, "127.0.0.1", root_cert);
    assert_eq!(prefer(with_tls, None), Encrypted);
    assert_eq!(prefer(with_tls, CA), Encrypted);
    assert_eq!(prefer(with_tls, ANOTHER_CA), Unencrypted);
    assert_eq!(prefer(without, None), Unencrypted);
}

#[test]
fn require_encrypts_and_verifies_only_when_it_is_given_a_root_certificate() {
    let (with_tls, without) = (serve(true), serve(false));
    let require = |port, root_cert| outcome(port, SslMode::Require, "127.0.0.1", root_cert);
    assert_eq!(require(with_tls, None), Encrypted);
    assert_eq!(require(with_tls, CA), Encrypted);
    assert_eq!(require(with_tls, ANOTHER_CA), NotTrusted);
    assert_eq!(require(without, None), NoTls);
}

#[test]
fn verify_ca_trusts_the_root_certificates_signature_whatever_the_host_is_called() {
    let (with_tls, without) = (serve(true), serve(false));
    let verify = |port, root_cert| outcome(port, SslMode::VerifyCa, "127.0.0.1", root_cert);
    assert_eq!(verify(with_tls, CA), Encrypted);
    assert_eq!(verify(with_tls, ANOTHER_CA), NotTrusted);
    // The system's CAs did not sign it either.
    assert_eq!(verify(with_tls, None), NotTrusted);
    assert_eq!(verify(without, CA), NoTls);
}

#[test]
fn verify_full_also_wants_the_certificate_to_name_the_host() {
    let port = serve(true);
    let verify = |host, root_cert| outcome(port, SslMode::VerifyFull, host, root_cert);
    assert_eq!(verify("localhost", CA), Encrypted);
    assert_eq!(verify("127.0.0.1", CA), NotTrusted);
    assert_eq!(verify("localhost", ANOTHER_CA), NotTrusted);
}

#[test]
fn a_root_certificate_that_cannot_be_used_is_named() {
    let open = |path: PathBuf| {
        let config = PostgresConfig {
            host: "localhost".into(),
            port: 1,
            name: "archive".into(),
            username: "archiver".into(),
            password: None,
            sslmode: SslMode::VerifyFull,
            sslrootcert: Some(path),
            pool_size: 1,
            request_timeout_seconds: 60,
        };
        match catalogue::open(&DatabaseConfig::Postgres(config)) {
            Ok(_) => panic!("opened"),
            Err(error) => error.to_string(),
        }
    };
    let missing = pem("missing.pem");
    assert_eq!(
        open(missing.clone()),
        format!(
            "postgres localhost:1/archive: db-sslrootcert {} cannot be read: No such file or directory (os error 2)",
            missing.display()
        )
    );
    let key = pem("server.key");
    assert_eq!(
        open(key.clone()),
        format!(
            "postgres localhost:1/archive: db-sslrootcert {} holds no PEM certificate",
            key.display()
        )
    );
}

/// Asks for the password in this way, and gives all that the client sends after.
fn demand(request: &'static [u8], with_tls: bool) -> (u16, std::sync::mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, sent) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let identity = Identity::from_pkcs8(SERVER_CERTIFICATE, SERVER_KEY).unwrap();
        let acceptor = TlsAcceptor::new(identity).unwrap();
        for stream in listener.incoming() {
            let mut answer = vec![];
            // A client that breaks off is what is hoped for.
            let _ = ask_for_password(stream.unwrap(), &acceptor, with_tls, request, &mut answer);
            let _ = sender.send(answer);
        }
    });
    (port, sent)
}

fn ask_for_password(
    mut stream: TcpStream,
    acceptor: &TlsAcceptor,
    with_tls: bool,
    request: &[u8],
    answer: &mut Vec<u8>,
) -> std::io::Result<()> {
    let mut first = [0; 8];
    stream.read_exact(&mut first)?;
    assert_eq!(first, SSL_REQUEST);
    if !with_tls {
        stream.write_all(b"N")?;
        return ask(stream, request, answer);
    }
    stream.write_all(b"S")?;
    let stream = acceptor.accept(stream).map_err(std::io::Error::other)?;
    ask(stream, request, answer)
}

fn ask(mut stream: impl Read + Write, request: &[u8], answer: &mut Vec<u8>) -> std::io::Result<()> {
    let mut first = [0; 8];
    stream.read_exact(&mut first)?;
    let length = u32::from_be_bytes([first[0], first[1], first[2], first[3]]);
    stream.read_exact(&mut vec![0; length as usize - 8])?;
    stream.write_all(request)?;
    stream.flush()?;
    stream.read_to_end(answer)?;
    Ok(())
}

const CLEARTEXT: &[u8] = b"R\0\0\0\x08\0\0\0\x03";
const MD5: &[u8] = b"R\0\0\0\x0c\0\0\0\x05salt";
/// A server that offers SCRAM without channel binding may be one that relays.
const SCRAM: &[u8] = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";

/// 0.0.0.0 reaches this machine, but is no loopback address to anybody who asks.
const ANOTHER_MACHINE: &str = "0.0.0.0";

#[test]
fn password_does_not_reach_a_server_that_nobody_verified() {
    for mode in [SslMode::Prefer, SslMode::Require] {
        for request in [CLEARTEXT, MD5, SCRAM] {
            for with_tls in [true, false] {
                let (port, sent) = demand(request, with_tls);
                let config = DatabaseConfig::Postgres(PostgresConfig {
                    host: ANOTHER_MACHINE.into(),
                    port,
                    name: "archive".into(),
                    username: "archiver".into(),
                    password: Some("secret".into()),
                    sslmode: mode,
                    sslrootcert: None,
                    pool_size: 1,
                    request_timeout_seconds: 60,
                });
                let error = catalogue::open(&config).err().expect("nobody gets in");
                assert!(matches!(error, CatalogueError::Refused { .. }), "{error}");
                let answer = sent.recv().unwrap();
                // 'p' is the message that carries a password or its proof.
                assert!(!answer.contains(&b'p'), "{mode:?} {with_tls}: {answer:?}");
            }
        }
    }
}

#[test]
fn sslmode_without_the_key_verifies_other_machines() {
    for (host, mode) in [
        ("/run/postgresql", SslMode::Prefer),
        ("localhost", SslMode::Prefer),
        ("127.0.0.1", SslMode::Prefer),
        ("::1", SslMode::Prefer),
        ("db.example.org", SslMode::VerifyFull),
        ("10.0.0.7", SslMode::VerifyFull),
    ] {
        assert_eq!(SslMode::default_for(host), mode, "{host}");
    }
}
