//! Entities a second that are read of a kernel in PostgreSQL, page after page up
//! to the bound, beside `COPY (SELECT …) TO STDOUT` of the same rows in the same
//! run.
//!
//! `cargo bench --bench kernel_read -- [ROWS [PAGE]]`, by default 200,000
//! entities of some 600 bytes in pages of 1,000, in a database of its own on the
//! server that TEST_PG_HOST and its like name.

mod common;

use std::io::Read;
use std::time::Instant;

use archive_ingest::config::{BoundConfig, KernelConfig, KernelKind, NamedBy, PostgresConfig};
use archive_ingest::entities::{self, Bound, Position, TypeId};
use postgres::{Client, NoTls};
use uuid::Uuid;

const NAME: &str = "archive_ingest_bench_kernel";
const REALM: &str = "bench";
const SCHEMA: Uuid = Uuid::from_u128(1);

fn main() {
    let numbers: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    let rows = numbers.first().copied().unwrap_or(200_000);
    let page = numbers.get(1).copied().unwrap_or(1000);
    let Some(server) = common::server(3) else {
        println!("TEST_PG_HOST names no server: nothing is measured");
        return;
    };
    let mut admin = connect(&server);
    let drop = format!("DROP DATABASE IF EXISTS {NAME} WITH (FORCE)");
    admin.batch_execute(&drop).expect("no other bench runs");
    let create = format!("CREATE DATABASE {NAME}");
    admin.batch_execute(&create).expect("CREATEDB");
    let kernel = PostgresConfig {
        name: NAME.to_owned(),
        ..server
    };
    fill(&kernel, rows);
    let copied = copy(&kernel, rows);
    let paged = read(&kernel, rows, page);
    println!("{:.2} of COPY", paged / copied);
    admin.batch_execute(&drop).expect("it is ours");
}

fn connect(config: &PostgresConfig) -> Client {
    postgres::Config::new()
        .host(&config.host)
        .port(config.port)
        .dbname(&config.name)
        .user(&config.username)
        .password(config.password.as_deref().unwrap_or_default())
        .connect(NoTls)
        .expect("a server")
}

fn fill(kernel: &PostgresConfig, rows: usize) {
    let mut client = connect(kernel);
    client
        .batch_execute(include_str!("../tests/entities/kernel.sql"))
        .expect("an empty database");
    client
        .batch_execute(&format!(
            "INSERT INTO kernel_project VALUES ('{SCHEMA}');
             INSERT INTO multitenancy_mtinstance VALUES ('{SCHEMA}', '{REALM}');
             INSERT INTO kernel_schema (id, name, definition) VALUES ('{SCHEMA}', 'Person', '{{}}');
             INSERT INTO kernel_schemadecorator (id, name, project_id, schema_id)
                 VALUES ('{SCHEMA}', 'Person', '{SCHEMA}', '{SCHEMA}');
             INSERT INTO kernel_entity
                 (id, payload, modified, mapping_id, schemadecorator_id, project_id)
             SELECT id, jsonb_build_object('id', id, 'n', n, 'name', 'Amina Abubakar',
                     'address', jsonb_build_object('village', 'Kurmi', 'lga', 'Zaria'),
                     'notes', repeat('lorem ipsum dolor ', 24)),
                 to_char(timestamp '2026-01-01' + n * interval '1.357 ms',
                     'YYYY-MM-DD\"T\"HH24:MI:SS.US') || '-' || id,
                 '00000000-0000-0000-0000-00000000000a', '{SCHEMA}', '{SCHEMA}'
             FROM (SELECT gen_random_uuid() AS id, n FROM generate_series(1, {rows}) AS n) AS made"
        ))
        .expect("a kernel");
    client
        .batch_execute("VACUUM ANALYZE kernel_entity")
        .expect("a kernel");
}

/// Rows a second.
fn copy(kernel: &PostgresConfig, rows: usize) -> f64 {
    let mut client = connect(kernel);
    let start = Instant::now();
    let mut out = client
        .copy_out(
            "COPY (SELECT id, modified, payload::text FROM kernel_entity ORDER BY modified)
             TO STDOUT (FORMAT binary)",
        )
        .expect("a query");
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        match out.read(&mut buffer).expect("rows") {
            0 => break,
            read => bytes += read,
        }
    }
    told("COPY", rows, bytes, start)
}

/// Rows a second.
fn read(kernel: &PostgresConfig, rows: usize, limit: usize) -> f64 {
    let source = entities::open(&KernelConfig {
        stanza: "bench".to_owned(),
        kind: KernelKind::Aether {
            server: kernel.clone(),
            named_by: NamedBy::Stanza,
        },
        bound: BoundConfig::default(),
    })
    .expect("a source");
    source.check().expect("a kernel");
    let of = TypeId {
        realm: REALM.to_owned(),
        schema_id: SCHEMA,
    };
    let start = Instant::now();
    let (mut after, mut read, mut bytes) = (Position::start(), 0, 0);
    loop {
        let bound: Bound = source.bound().expect("a bound");
        let page = source
            .page(&of, &after, &bound, limit, 4 << 20)
            .expect("a page");
        read += page.entities.len();
        bytes += page.entities.iter().map(|e| e.payload.len()).sum::<usize>();
        match page.entities.last() {
            Some(last) => after = last.modified.clone(),
            None => break,
        }
        if !page.more {
            break;
        }
    }
    assert_eq!(read, rows);
    told(&format!("pages of {limit}"), rows, bytes, start)
}

fn told(what: &str, rows: usize, bytes: usize, start: Instant) -> f64 {
    let seconds = start.elapsed().as_secs_f64();
    let rate = rows as f64 / seconds;
    println!(
        "{what}: {rate:.0} entities/s, {:.0} MB/s",
        bytes as f64 / 1e6 / seconds
    );
    rate
}
