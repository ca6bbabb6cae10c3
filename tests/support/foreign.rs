//! What archive-core leaves: documents and rows without the fields that are
//! this program's own, under keys with an hour.

use archive_ingest::envelope;
use archive_ingest::record::Record;
use archive_ingest::store::Put;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document, doc};
use uuid::Uuid;

use super::Place;

/// Stores `record` as archive-core does, under the client's UUID or else a
/// random one, which is given back. The catalogue must have its tables.
pub fn archive(place: &Place, record: &Record) -> Uuid {
    let asked = envelope::client_uuid(&record.headers);
    let uuid = asked.unwrap_or_else(|| Uuid::from_u128(rand::random()));
    let body = document(record, uuid, asked.is_some())
        .to_vec()
        .expect("a document");
    let key = key(record, uuid);
    let store = place.store();
    let put = tokio::runtime::Runtime::new()
        .expect("a runtime")
        .block_on(store.put_new(&key, body.clone()))
        .expect("stored");
    assert_eq!(put, Put::Stored);
    place.execute(&format!(
        "INSERT INTO messages (topic, timestamp, uuid, size, key, bucket, crc32, is_client_uuid,
            public, direct_upload, message_crc32)
         VALUES ('{}', {}, '{uuid}', {}, '{key}', '{}', {}, {}, false, false, {})",
        record.topic,
        record.timestamp,
        body.len(),
        store.bucket(),
        crc32fast::hash(&body),
        asked.is_some(),
        crc(record),
    ));
    uuid
}

/// Its objects lie one folder deeper than ours.
fn key(record: &Record, uuid: Uuid) -> String {
    let ours = envelope::object_key(&record.topic, record.timestamp, uuid);
    let (folder, name) = ours.rsplit_once('/').expect("folders");
    let hour = record.timestamp / 3_600_000 % 24;
    format!("{folder}/{hour}/{name}")
}

fn document(record: &Record, uuid: Uuid, is_client: bool) -> Document {
    let headers: Vec<Bson> = record
        .headers
        .iter()
        .map(|header| {
            let name = String::from_utf8(header.name.clone()).expect("text");
            Bson::Array(vec![name.into(), binary(header.value.as_deref())])
        })
        .collect();
    doc! {
        "message": binary(record.value.as_deref()),
        "metadata": {
            "timestamp": record.timestamp,
            "headers": headers,
            "key": binary(record.key.as_deref()),
            "topic": &*record.topic,
        },
        "annotations": {
            "con_text_uuid": uuid.to_string(),
            "con_is_client_uuid": is_client,
            "con_message_crc32": i64::from(crc(record)),
        },
    }
}

fn binary(bytes: Option<&[u8]>) -> Bson {
    bytes.map_or(Bson::Null, |bytes| {
        Bson::Binary(Binary {
            subtype: BinarySubtype::Generic,
            bytes: bytes.to_vec(),
        })
    })
}

fn crc(record: &Record) -> u32 {
    crc32fast::hash(record.value.as_deref().unwrap_or_default())
}
