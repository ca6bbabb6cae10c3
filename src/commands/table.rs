//! Tables for people: columns and spaces, no lines around them.

use std::io::IsTerminal;

use comfy_table::{ContentArrangement, Table, presets};

/// A terminal that is narrower, or says that it has no width, wraps lines as
/// well as this program could.
const NARROWEST: u16 = 60;

/// A table with the columns' names in its first line. On a terminal long cells
/// are wrapped; elsewhere a row is one line.
pub(super) fn render<const N: usize>(
    columns: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    let is_wide = table.width().is_some_and(|width| width >= NARROWEST);
    table.set_content_arrangement(match std::io::stdout().is_terminal() && is_wide {
        true => ContentArrangement::Dynamic,
        false => ContentArrangement::Disabled,
    });
    table.set_header(columns.map(str::to_uppercase));
    table.add_rows(rows);
    // The cells' padding is no use at the ends of a line.
    let lines = table.lines().map(|line| format!("{}\n", line.trim()));
    lines.collect()
}
