//! `list-archive`: which messages the archive has.

use std::io::{self, Write};

use jiff::Timestamp;

use super::output::{self, Stdout, one_line, or_dash};
use super::row::{RowJson, TopicJson};
use super::select::Chosen;
use super::{Exit, open, table};
use crate::catalogue::{Catalogue, Row, RowFilter, TopicSummary};
use crate::cli::ListArgs;
use crate::config::Config;

/// Rows that are asked for, and held, at a time.
const PAGE: usize = 1_000;

/// Topics' names get at most this much room; a longer one moves the rest of its
/// line to the right.
const WIDEST_TOPIC: usize = 40;

/// `list-archive`: one message a line, or with `--count` one topic a line.
/// Memory does not grow with the number of messages. Blocks.
pub fn list(config: &Config, args: &ListArgs, json: bool) -> anyhow::Result<Exit> {
    let chosen = Chosen::read(&args.select, Timestamp::now())?;
    let catalogue = open::catalogue_to_read(config)?;
    let filter = chosen.filter(&*catalogue)?;
    let mut out = Stdout::new();
    if args.count {
        print_topics(&catalogue.count_by_topic(&filter)?, json, &mut out)?;
    } else {
        print_rows(&*catalogue, &filter, args, json, &mut out)?;
    }
    out.flush()?;
    Ok(Exit::Clean)
}

/// Messages, earliest and latest time of each topic.
pub(super) fn print_topics(
    topics: &[TopicSummary],
    json: bool,
    out: &mut Stdout,
) -> io::Result<()> {
    if json {
        return topics
            .iter()
            .try_for_each(|topic| out.json_line(&TopicJson::from(topic)));
    }
    let rows = topics.iter().map(|topic| {
        [
            one_line(&topic.topic).into_owned(),
            topic.messages.to_string(),
            output::time(topic.earliest),
            output::time(topic.latest),
        ]
    });
    let table = table::render(["topic", "messages", "earliest", "latest"], rows);
    out.write_all(table.as_bytes())
}

fn print_rows(
    catalogue: &dyn Catalogue,
    filter: &RowFilter,
    args: &ListArgs,
    json: bool,
    out: &mut Stdout,
) -> anyhow::Result<()> {
    let columns = match json {
        true => None,
        false => Some(Columns::fit(&catalogue.count_by_topic(&RowFilter {
            topics: filter.topics.clone(),
            ..RowFilter::default()
        })?)),
    };
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut after = None;
    while left > 0 {
        let limit = usize::try_from(left).map_or(PAGE, |left| left.min(PAGE));
        let page = catalogue.rows(filter, after, limit, args.reverse)?;
        // Nothing found is nothing printed, no header either.
        if let (Some(columns), None, Some(_)) = (&columns, after, page.first()) {
            columns.print_header(out)?;
        }
        for row in &page {
            match &columns {
                None => out.json_line(&RowJson::from(&row.row))?,
                Some(columns) => columns.print(&row.row, out)?,
            }
        }
        out.flush()?;
        left -= page.len() as u64;
        match page.last() {
            Some(last) if page.len() == limit => after = Some(last.cursor()),
            _ => break,
        }
    }
    Ok(())
}

/// Widths that are known before the first row is: a table of any length is
/// printed as it comes.
struct Columns {
    topic: usize,
}

impl Columns {
    fn fit(topics: &[TopicSummary]) -> Self {
        let width = |topic: &TopicSummary| one_line(&topic.topic).chars().count();
        let widest = topics.iter().map(width).max().unwrap_or_default();
        Self {
            topic: widest.clamp("TOPIC".len(), WIDEST_TOPIC),
        }
    }

    fn print_header(&self, out: &mut impl Write) -> io::Result<()> {
        let names = [
            "UUID",
            "TOPIC",
            "TIME",
            "PARTITION",
            "OFFSET",
            "SIZE",
            "KEY",
        ];
        self.print_line(names, out)
    }

    fn print(&self, row: &Row, out: &mut impl Write) -> io::Result<()> {
        let origin = row.origin.as_ref();
        let cells = [
            row.uuid.to_string(),
            one_line(&row.topic).into_owned(),
            output::time(row.timestamp),
            or_dash(origin.map(|origin| origin.partition)),
            or_dash(origin.map(|origin| origin.offset)),
            row.size.to_string(),
            one_line(&row.key).into_owned(),
        ];
        self.print_line(cells.each_ref().map(String::as_str), out)
    }

    fn print_line(&self, cells: [&str; 7], out: &mut impl Write) -> io::Result<()> {
        let [uuid, topic, time, partition, offset, size, key] = cells;
        let width = self.topic;
        writeln!(
            out,
            "{uuid:36}  {topic:width$}  {time:24}  {partition:>9}  {offset:>10}  {size:>9}  {key}"
        )
    }
}
