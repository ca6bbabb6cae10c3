//! `sslmode`, with libpq's meaning
//! (<https://www.postgresql.org/docs/current/libpq-ssl.html>).
//!
//! The driver knows whether to encrypt; whom to trust is decided here.

use std::path::Path;

use native_tls::{Certificate, TlsConnector};
use postgres_native_tls::MakeTlsConnector;

use super::words::Words;
use crate::config::{PostgresConfig, SslMode, is_this_machine};

/// Whether the driver asks for encryption. `prefer` insists on it for a server
/// on another machine, unlike libpq's: whoever is between could answer that the
/// server has none, and ask for the password. libpq never asks for it over a
/// socket of the file system, which a `host` that starts with `/` is.
pub fn encryption(mode: SslMode, host: &str) -> tokio_postgres::config::SslMode {
    match mode {
        _ if host.starts_with('/') => tokio_postgres::config::SslMode::Disable,
        SslMode::Disable => tokio_postgres::config::SslMode::Disable,
        SslMode::Prefer if is_this_machine(host) => tokio_postgres::config::SslMode::Prefer,
        SslMode::Prefer | SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
            tokio_postgres::config::SslMode::Require
        }
    }
}

/// Whether the connection may be encrypted without knowing by whom.
pub fn is_unverified(config: &PostgresConfig) -> bool {
    matches!(config.sslmode, SslMode::Prefer | SslMode::Require) && config.sslrootcert.is_none()
}

/// The connector that trusts whom `mode` says: the CAs in the PEM file
/// `root_cert` and no other, or the system's where there is none.
///
/// `prefer` and `require` verify nobody, unless a root certificate is given:
/// then they verify as `verify-ca` does.
///
/// Errors are one line that names the file.
pub fn connector(
    mode: SslMode,
    root_cert: Option<&Path>,
    words: &Words,
) -> Result<MakeTlsConnector, String> {
    let mut builder = TlsConnector::builder();
    match mode {
        // An unused file is not looked at.
        SslMode::Disable => {}
        SslMode::Prefer | SslMode::Require if root_cert.is_none() => {
            builder.danger_accept_invalid_certs(true);
            builder.danger_accept_invalid_hostnames(true);
        }
        SslMode::Prefer | SslMode::Require | SslMode::VerifyCa => {
            builder.danger_accept_invalid_hostnames(true);
        }
        SslMode::VerifyFull => {}
    }
    if let Some(path) = root_cert.filter(|_| mode != SslMode::Disable) {
        builder.disable_built_in_roots(true);
        for certificate in root_certificates(path, words.sslrootcert)? {
            builder.add_root_certificate(certificate);
        }
    }
    let connector = builder
        .build()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    Ok(MakeTlsConnector::new(connector))
}

fn root_certificates(path: &Path, setting: &str) -> Result<Vec<Certificate>, String> {
    let shown = path.display();
    let pem = std::fs::read(path)
        .map_err(|error| format!("{setting} {shown} cannot be read: {error}"))?;
    let certificates = Certificate::stack_from_pem(&pem).unwrap_or_default();
    if certificates.is_empty() {
        return Err(format!("{setting} {shown} holds no PEM certificate"));
    }
    Ok(certificates)
}
