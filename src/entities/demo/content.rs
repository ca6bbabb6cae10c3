//! What the demo kernel holds: two realms, three types, first entities.

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng, rngs::StdRng};
use rusqlite::Transaction;
use serde_json::{Value, json};
use uuid::Uuid;

use super::file::{NewEntity, NewSchema, add_entity, add_schema};
use crate::sqlite_file::Fault;

/// First entities of each type.
const FIRST: u32 = 40;

/// Every run makes the same first entities, in the past: they are the same
/// records each time.
const FIRST_DAY: &str = "2026-01-05";

struct DemoType {
    realm: &'static str,
    name: &'static str,
    schema: Uuid,
    decorator: Uuid,
    definition: &'static str,
    payload: fn(Uuid, &mut StdRng) -> Value,
}

const TYPES: [DemoType; 3] = [
    DemoType {
        realm: "north-district",
        name: "Person",
        schema: Uuid::from_u128(0x5d3a_51f0_6c1e_4a7b_9d3e_0000_0000_0001),
        decorator: Uuid::from_u128(0x8f1c_2be4_91d7_4c05_a2f4_0000_0000_0001),
        definition: include_str!("person.avsc"),
        payload: person,
    },
    DemoType {
        realm: "north-district",
        name: "Vaccination",
        schema: Uuid::from_u128(0x5d3a_51f0_6c1e_4a7b_9d3e_0000_0000_0002),
        decorator: Uuid::from_u128(0x8f1c_2be4_91d7_4c05_a2f4_0000_0000_0002),
        definition: include_str!("vaccination.avsc"),
        payload: vaccination,
    },
    DemoType {
        realm: "water-survey",
        name: "WaterPoint",
        schema: Uuid::from_u128(0x5d3a_51f0_6c1e_4a7b_9d3e_0000_0000_0003),
        decorator: Uuid::from_u128(0x8f1c_2be4_91d7_4c05_a2f4_0000_0000_0003),
        definition: include_str!("water_point.avsc"),
        payload: water_point,
    },
];

/// Types and first entities, where they are not there yet.
pub fn fill(file: &Transaction<'_>) -> Result<(), Fault> {
    let known: i64 =
        file.query_row("SELECT count(*) FROM schemadecorator", [], |row| row.get(0))?;
    if known > 0 {
        return Ok(());
    }
    let modified = format!("{FIRST_DAY}T08:00:00");
    for (seed, kind) in (0..).zip(&TYPES) {
        add_schema(
            file,
            &NewSchema {
                id: kind.schema,
                name: kind.name,
                definition: kind.definition.trim_end(),
                decorator: kind.decorator,
                realm: kind.realm,
                modified: &modified,
            },
        )?;
        let mut random = StdRng::seed_from_u64(seed);
        for n in 0..FIRST {
            let stamp = format!("{FIRST_DAY}T09:{n:02}:{:02}.{:06}", seed * 7, n * 1009 + 1);
            add(file, kind, &stamp, &mut random)?;
        }
    }
    Ok(())
}

/// One entity more, of any type.
pub fn add_one(file: &Transaction<'_>, stamp: &str) -> Result<(), Fault> {
    let mut random = StdRng::from_os_rng();
    let kind = &TYPES[random.random_range(0..TYPES.len())];
    add(file, kind, stamp, &mut random)
}

fn add(
    file: &Transaction<'_>,
    kind: &DemoType,
    stamp: &str,
    random: &mut StdRng,
) -> Result<(), Fault> {
    let id = uuid::Builder::from_random_bytes(random.random()).into_uuid();
    let payload = (kind.payload)(id, random).to_string();
    add_entity(
        file,
        &NewEntity {
            id,
            payload: &payload,
            stamp,
            decorator: kind.decorator,
        },
    )
}

fn any_of(random: &mut StdRng, choices: &[&'static str]) -> &'static str {
    choices.choose(random).copied().unwrap_or_default()
}

fn person(id: Uuid, random: &mut StdRng) -> Value {
    let first = any_of(
        random,
        &[
            "Amina", "Bola", "Chidi", "Fatima", "Ibrahim", "Ngozi", "Zoë",
        ],
    );
    let last = any_of(
        random,
        &["Abubakar", "Balogun", "Danjuma", "Eze", "Okafor", "Yusuf"],
    );
    let phone = random.random_bool(0.7).then(|| {
        format!(
            "+234{}",
            random.random_range(7_000_000_000_u64..9_100_000_000)
        )
    });
    json!({
        "id": id,
        "name": format!("{first} {last}"),
        "year_of_birth": random.random_range(1940..2025),
        "sex": any_of(random, &["female", "male", "unknown"]),
        "phone": phone,
        "languages": [any_of(random, &["ha", "yo"]), any_of(random, &["en", "ig"])],
        "household": {
            "village": any_of(random, &["Kurmi", "Bakin Rijiya", "Gidan Wire"]),
            "members": random.random_range(1..14),
        },
    })
}

fn vaccination(id: Uuid, random: &mut StdRng) -> Value {
    let person: [u8; 16] = random.random();
    json!({
        "id": id,
        "person_id": uuid::Builder::from_random_bytes(person).into_uuid(),
        "vaccine": any_of(random, &["bOPV", "measles", "yellow fever", "BCG"]),
        "dose": random.random_range(1..4),
        "given_on": format!("2026-0{}-{:02}", random.random_range(1..10), random.random_range(1..29)),
        "batch": random.random_bool(0.8).then(|| format!("LOT-{:05}", random.random_range(0..100_000))),
        "adverse_event": random.random_bool(0.02),
    })
}

fn water_point(id: Uuid, random: &mut StdRng) -> Value {
    let scaled = |value: f64, scale: f64| (value * scale).round() / scale;
    json!({
        "id": id,
        "location": {
            "latitude": scaled(random.random_range(9.0..13.0), 1e6),
            "longitude": scaled(random.random_range(4.0..14.0), 1e6),
        },
        "kind": any_of(random, &["borehole", "well", "spring", "tap"]),
        "is_working": random.random_bool(0.85),
        "litres_per_minute": random.random_bool(0.6).then(|| scaled(random.random_range(0.5..60.0), 10.0)),
        "notes": any_of(random, &["", "pump handle loose", "queue in the morning", "chlorinated"]),
    })
}
