//! The last thing that `verify` prints.

use indicatif::HumanBytes;
use serde_json::{Value, json};

use super::{output, table};
use crate::verify::Checked;

/// Why objects were not looked at from the store's side.
const SKIPPED: &str = "not with --since, --until or --sample";

/// How it was looked, and what was done about it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct How {
    pub deep: bool,
    pub repair: bool,
    pub dry_run: bool,
}

impl How {
    /// Defects that are there in the end.
    pub fn left(&self, checked: &Checked) -> u64 {
        let mended = match self.dry_run {
            true => 0,
            false => checked.mended,
        };
        found(checked).saturating_sub(mended)
    }
}

fn found(checked: &Checked) -> u64 {
    let found: i64 = checked.defects.values().sum();
    u64::try_from(found).unwrap_or_default()
}

/// Why no message and no record was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nothing {
    /// No message of the archive was selected.
    Selected,
    /// The archive has messages, and this part of `--subset` has none of them.
    InThisPart,
}

impl Nothing {
    fn text(self) -> &'static str {
        match self {
            Self::Selected => "nothing was checked: no message is selected",
            Self::InThisPart => "nothing was checked: this part of --subset has no messages",
        }
    }
}

pub(super) fn as_json(
    checked: &Checked,
    how: &How,
    nothing: Option<Nothing>,
    known: u64,
    seconds: f64,
) -> Value {
    let backwards = checked.backwards;
    json!({
        "held": match (found(checked), nothing) {
            (0, Some(_)) => None,
            (found, _) => Some(found == 0),
        },
        "nothing_checked": nothing.map(Nothing::text),
        "deep": how.deep,
        "messages": checked.messages,
        "bytes_read": checked.bytes,
        "objects": backwards.map(|b| b.objects),
        "objects_in_flight": backwards.map(|b| b.in_flight),
        "topics": backwards.map(|b| b.topics),
        "completeness": checked.completeness.map(|c| json!({
            "partitions": c.partitions,
            "offsets": c.offsets,
            "holes_confirmed": c.holes_confirmed,
            "holes_unconfirmed": c.holes_unconfirmed,
            "not_recorded": c.not_recorded,
        })),
        "kafka_records": checked.records,
        "skipped": match backwards {
            Some(_) => None,
            None => Some(format!("objects and topics: {SKIPPED}")),
        },
        "defects": found(checked),
        "defects_by_kind": checked.defects,
        "acknowledged_gaps": known,
        "signatures": {
            "valid": checked.signatures.valid,
            "unsigned": checked.signatures.unsigned,
            "not_checked": checked.signatures.not_checked,
        },
        "mended": how.repair.then_some(checked.mended),
        "dry_run": how.dry_run,
        "left": how.left(checked),
        "resumed_from": checked.resumed_from.and_then(output::date),
        "seconds": tenths(seconds),
    })
}

pub(super) fn as_table(
    checked: &Checked,
    how: &How,
    nothing: Option<Nothing>,
    known: u64,
    seconds: f64,
) -> String {
    let read = match how.deep {
        true => format!("{} read and compared", HumanBytes(checked.bytes)),
        false => "there, and of the right size".to_owned(),
    };
    let mut rows = vec![row("messages", checked.messages, &read)];
    match checked.backwards {
        None => rows.push(["objects".to_owned(), "-".to_owned(), SKIPPED.to_owned()]),
        Some(backwards) => {
            let young = format!("of which in flight: {}", backwards.in_flight);
            rows.push(row("objects", backwards.objects, &young));
            rows.push(row("topics", backwards.topics, "counted"));
        }
    }
    if let Some(complete) = checked
        .completeness
        .filter(|c| c.partitions + c.not_recorded > 0)
    {
        let mut how = format!(
            "complete: {} offsets, of which hold no record: {} confirmed, {} not confirmed",
            complete.offsets, complete.holes_confirmed, complete.holes_unconfirmed
        );
        if complete.not_recorded > 0 {
            how += &format!(
                "; not recorded: {} messages archived before positions were",
                complete.not_recorded
            );
        }
        rows.push(row("partitions", complete.partitions, &how));
    }
    if let Some(records) = checked.records {
        rows.push(row("kafka", records, "records compared"));
    }
    let signatures = checked.signatures;
    if signatures.valid + signatures.not_checked > 0 {
        let others = format!(
            "valid; not checked: {}, unsigned: {}",
            signatures.not_checked, signatures.unsigned
        );
        rows.push(row("signatures", signatures.valid, &others));
    }
    if known > 0 {
        rows.push(row("gap", known, "acknowledged"));
    }
    for (kind, count) in &checked.defects {
        rows.push([kind.clone(), count.to_string(), "defects".to_owned()]);
    }
    let table = table::render(["checked", "number", "how"], rows);
    format!(
        "{table}{}; {seconds:.1} s\n",
        verdict(checked, how, nothing)
    )
}

fn verdict(checked: &Checked, how: &How, nothing: Option<Nothing>) -> String {
    let found = match (found(checked), nothing) {
        (0, Some(nothing)) => nothing.text().to_owned(),
        (0, None) if how.deep => "everything held".to_owned(),
        (0, None) => "sizes match; contents were not read (--deep reads them)".to_owned(),
        (1, _) => "1 defect".to_owned(),
        (several, _) => format!("{several} defects"),
    };
    let resumed = match checked.resumed_from {
        Some(began) => format!(", gone on with from {}", output::time(began)),
        None => String::new(),
    };
    let mended = match (how.repair, how.dry_run) {
        (false, _) => String::new(),
        (true, false) => format!(", {} mended", checked.mended),
        (true, true) => format!(", {} would be mended", checked.mended),
    };
    format!("{found}{mended}{resumed}")
}

pub(super) fn row(name: &str, number: u64, how: &str) -> [String; 3] {
    [name.to_owned(), number.to_string(), how.to_owned()]
}

pub(super) fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}
