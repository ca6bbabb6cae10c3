//! How to connect, out of the properties that librdkafka's clients get.

use std::path::{Path, PathBuf};

use native_tls::{Certificate, Identity, TlsConnector};
use rdkafka::ClientConfig;

/// Addresses, TLS and SASL of one cluster.
pub(super) struct Settings {
    /// Host and port.
    pub bootstrap: Vec<(String, u16)>,
    pub client_id: String,
    pub tls: Option<TlsConnector>,
    pub sasl: Option<Sasl>,
}

pub(super) struct Sasl {
    pub mechanism: Mechanism,
    pub username: String,
    pub password: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
}

impl Mechanism {
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl Settings {
    /// The error is what to change.
    pub fn read(config: &ClientConfig) -> Result<Self, String> {
        let get = |name: &str| config.get(name).filter(|value| !value.is_empty());
        let servers = get("metadata.broker.list").or_else(|| get("bootstrap.servers"));
        let protocol = get("security.protocol").unwrap_or("plaintext");
        let (has_tls, has_sasl) = match protocol.to_ascii_lowercase().as_str() {
            "plaintext" => (false, false),
            "ssl" => (true, false),
            "sasl_plaintext" => (false, true),
            "sasl_ssl" => (true, true),
            _ => return Err(format!("security.protocol {protocol} is not supported")),
        };
        Ok(Self {
            bootstrap: servers
                .unwrap_or_default()
                .split(',')
                .map(|server| address(server.trim()))
                .collect::<Result<_, _>>()?,
            client_id: get("client.id").unwrap_or("archive_ingest").to_owned(),
            tls: has_tls.then(|| connector(&get)).transpose()?,
            sasl: has_sasl.then(|| sasl(&get)).transpose()?,
        })
    }
}

fn address(server: &str) -> Result<(String, u16), String> {
    let wrong = || format!("{server:?} is not the address of a broker");
    let server = server.rsplit_once("://").map_or(server, |(_, rest)| rest);
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && (host.ends_with(']') || !host.contains(':')) => {
            (host, port.parse().map_err(|_| wrong())?)
        }
        _ => (server, 9092),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(wrong());
    }
    Ok((host.to_owned(), port))
}

fn sasl<'a>(get: &impl Fn(&str) -> Option<&'a str>) -> Result<Sasl, String> {
    let name = get("sasl.mechanisms").or_else(|| get("sasl.mechanism"));
    let mechanism = match name.map(str::to_ascii_uppercase).as_deref() {
        Some("PLAIN") => Mechanism::Plain,
        Some("SCRAM-SHA-256") => Mechanism::ScramSha256,
        Some("SCRAM-SHA-512") => Mechanism::ScramSha512,
        other => {
            return Err(format!(
                "the second reader cannot authenticate with {}: \
                 give it a listener with PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
                other.unwrap_or("GSSAPI")
            ));
        }
    };
    let missing = |name: &str| format!("{name} is not set");
    Ok(Sasl {
        mechanism,
        username: get("sasl.username")
            .ok_or_else(|| missing("sasl.username"))?
            .to_owned(),
        password: get("sasl.password")
            .ok_or_else(|| missing("sasl.password"))?
            .to_owned(),
    })
}

fn connector<'a>(get: &impl Fn(&str) -> Option<&'a str>) -> Result<TlsConnector, String> {
    let mut builder = TlsConnector::builder();
    let location = get("ssl.ca.location").filter(|location| *location != "probe");
    let mut pems = Vec::new();
    if let Some(location) = location {
        for file in files(Path::new(location))? {
            pems.push((location, read(&file)?));
        }
    }
    if let Some(pem) = get("ssl.ca.pem") {
        pems.push(("ssl.ca.pem", pem.as_bytes().to_vec()));
    }
    if !pems.is_empty() {
        builder.disable_built_in_roots(true);
    }
    for (name, pem) in pems {
        let certificates = Certificate::stack_from_pem(&pem)
            .map_err(|error| format!("{name}: {error}: a PEM file of certificates is needed"))?;
        for certificate in certificates {
            builder.add_root_certificate(certificate);
        }
    }
    if let Some(identity) = identity(get)? {
        builder.identity(identity);
    }
    if get("enable.ssl.certificate.verification").is_some_and(is_false) {
        builder.danger_accept_invalid_certs(true);
    }
    if get("ssl.endpoint.identification.algorithm") == Some("none") {
        builder.danger_accept_invalid_hostnames(true);
    }
    builder.build().map_err(|error| error.to_string())
}

/// The client's own certificate.
fn identity<'a>(get: &impl Fn(&str) -> Option<&'a str>) -> Result<Option<Identity>, String> {
    if let Some(file) = get("ssl.keystore.location") {
        let password = get("ssl.keystore.password").unwrap_or_default();
        let identity = Identity::from_pkcs12(&read(Path::new(file))?, password);
        return identity
            .map(Some)
            .map_err(|error| format!("{file}: {error}"));
    }
    let pem = |location: &str, inline: &str| match get(location) {
        Some(file) => read(Path::new(file)).map(Some),
        None => Ok(get(inline).map(|pem| pem.as_bytes().to_vec())),
    };
    let certificate = pem("ssl.certificate.location", "ssl.certificate.pem")?;
    let key = pem("ssl.key.location", "ssl.key.pem")?;
    let (Some(certificate), Some(key)) = (certificate, key) else {
        return Ok(None);
    };
    let identity = Identity::from_pkcs8(&certificate, &key);
    identity.map(Some).map_err(|error| {
        format!("the client's certificate and key: {error}: the second reader needs the key as PKCS#8 without a password")
    })
}

fn is_false(value: &str) -> bool {
    matches!(value, "false" | "f" | "0" | "no")
}

/// The file, or what is in the folder.
fn files(location: &Path) -> Result<Vec<PathBuf>, String> {
    if !location.is_dir() {
        return Ok(vec![location.to_owned()]);
    }
    let entries = std::fs::read_dir(location)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("{}: {error}", location.display()))?;
    let files = entries.into_iter().map(|entry| entry.path());
    Ok(files.filter(|file| file.is_file()).collect())
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_has_a_port_or_the_default() {
        let of = |text: &str| address(text).ok();
        assert_eq!(of("kafka"), Some(("kafka".into(), 9092)));
        assert_eq!(of("kafka:1"), Some(("kafka".into(), 1)));
        assert_eq!(of("[::1]:2"), Some(("::1".into(), 2)));
        assert_eq!(of("SASL_SSL://kafka:3"), Some(("kafka".into(), 3)));
        assert_eq!(of("kafka:port"), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn unsupported_mechanism_is_refused() {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", "kafka");
        config.set("security.protocol", "SASL_PLAINTEXT");
        config.set("sasl.mechanisms", "OAUTHBEARER");
        let error = Settings::read(&config).err().unwrap_or_default();
        assert!(error.contains("OAUTHBEARER"), "{error}");
    }
}
