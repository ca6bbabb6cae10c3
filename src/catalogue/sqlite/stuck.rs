//! What cannot be archived now.

use rusqlite::{Transaction, params};

use crate::catalogue::{Stuck, storable};
use crate::sqlite_file::Fault;

const ALL: &str = "
    SELECT topic, kafka_partition, kafka_offset, object_key, cause, since
    FROM stuck ORDER BY topic, kafka_partition, kafka_offset, object_key
";

pub fn all(file: &Transaction<'_>) -> Result<Vec<(Stuck, i64)>, Fault> {
    let mut select = file.prepare_cached(ALL)?;
    let stuck = select.query_map([], |row| {
        let offset: i64 = row.get(2)?;
        let object: String = row.get(3)?;
        let stuck = Stuck {
            topic: row.get_ref(0)?.as_str()?.into(),
            partition: row.get(1)?,
            offset: (offset != Stuck::UNKNOWN_OFFSET).then_some(offset),
            object: (!object.is_empty()).then_some(object),
            cause: row.get(4)?,
        };
        Ok((stuck, row.get(5)?))
    })?;
    Ok(stuck.collect::<Result<_, _>>()?)
}

const REMOVE: &str = "
    DELETE FROM stuck
    WHERE topic = ?1 AND kafka_partition = ?2 AND kafka_offset = ?3 AND object_key = ?4
";
const ADD: &str = "
    INSERT INTO stuck (topic, kafka_partition, kafka_offset, object_key, cause)
    VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT DO UPDATE SET cause = excluded.cause
";

pub fn change(file: &Transaction<'_>, ended: &[Stuck], begun: &[Stuck]) -> Result<(), Fault> {
    let mut remove = file.prepare_cached(REMOVE)?;
    for one in ended {
        remove.execute(params![
            &*one.topic,
            one.partition,
            one.stored_offset(),
            one.stored_object(),
        ])?;
    }
    let mut add = file.prepare_cached(ADD)?;
    for one in begun {
        add.execute(params![
            &*one.topic,
            one.partition,
            one.stored_offset(),
            one.stored_object(),
            storable(&one.cause),
        ])?;
    }
    Ok(())
}
