//! The commands that a document shows.

/// The lines of its shell blocks.
pub fn commands(document: &str) -> Vec<&str> {
    let mut in_block = false;
    let mut lines = vec![];
    for line in document.lines() {
        match line {
            "```sh" => in_block = true,
            "```" => in_block = false,
            line if in_block => lines.push(line),
            _ => {}
        }
    }
    lines
}
