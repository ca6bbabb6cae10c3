//! What the benches take from the environment.

// Each bench uses a part of it.
#![allow(dead_code)]

use std::fmt::Display;
use std::str::FromStr;

use anyhow::{Context, Result, ensure};
use archive_ingest::config::{PostgresConfig, S3Config, S3Credentials, SslMode};

/// The bucket that TEST_S3_ENDPOINT and its like name.
pub fn bucket() -> Result<S3Config> {
    let needed = |name: &str| std::env::var(name).with_context(|| format!("set {name}"));
    Ok(S3Config {
        primary_bucket: needed("TEST_S3_BUCKET")?,
        backup_bucket: None,
        endpoint_url: Some(needed("TEST_S3_ENDPOINT")?),
        region: "us-east-1".to_owned(),
        credentials: Some(S3Credentials {
            access_key_id: needed("TEST_S3_ACCESS_KEY")?,
            secret_access_key: needed("TEST_S3_SECRET_KEY")?,
        }),
        request_timeout_seconds: 30,
        log_every: 0,
    })
}

/// The server that TEST_PG_HOST and its like name, if they do.
pub fn server(pool_size: u32) -> Option<PostgresConfig> {
    let host = std::env::var("TEST_PG_HOST").ok()?;
    let or = |name: &str, otherwise: &str| std::env::var(name).unwrap_or(otherwise.into());
    Some(PostgresConfig {
        host,
        port: or("TEST_PG_PORT", "5432").parse().expect("TEST_PG_PORT"),
        name: or("TEST_PG_DB", "postgres"),
        username: or("TEST_PG_USER", "postgres"),
        password: std::env::var("TEST_PG_PASSWORD").ok(),
        sslmode: SslMode::Prefer,
        sslrootcert: None,
        pool_size,
        request_timeout_seconds: 60,
    })
}

/// Requests at once, of BENCH_CONCURRENCY.
pub fn concurrencies(default: &str) -> Result<Vec<usize>> {
    let text = parameter("BENCH_CONCURRENCY", default.to_owned())?;
    text.split(',')
        .map(|part| {
            let number: usize = part.trim().parse()?;
            ensure!(number > 0, "0 at once would never end");
            Ok(number)
        })
        .collect::<Result<_>>()
        .with_context(|| format!("BENCH_CONCURRENCY={text} is no list of numbers"))
}

/// A variable of the environment, or its default.
pub fn parameter<T>(name: &str, default: T) -> Result<T>
where
    T: FromStr,
    T::Err: Display,
{
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .map_err(|e| anyhow::anyhow!("{name}={text}: {e}")),
        Err(_) => Ok(default),
    }
}
