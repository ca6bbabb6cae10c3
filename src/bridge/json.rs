//! JSON that is passed on as it is.

use serde::de::IgnoredAny;

use super::form::Unfit;

/// Python's parser, which agents read with, gives up at about twice as many.
pub const DEEPEST: usize = 500;

/// That it is JSON in UTF-8 (RFC 8259), whatever it says.
pub fn check_json(bytes: &[u8]) -> Result<(), Unfit> {
    let text = std::str::from_utf8(bytes).map_err(|error| Unfit::NotJson(error.to_string()))?;
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(Unfit::NotJson(error.to_string())),
    }
}

/// That an agent can read it; `json` is JSON.
pub fn check_depth(json: &[u8]) -> Result<(), Unfit> {
    match depth(json) > DEEPEST {
        true => Err(Unfit::TooDeep),
        false => Ok(()),
    }
}

/// How deep objects and lists of a JSON text stand within each other.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest): (usize, usize) = (0, 0);
    let (mut in_string, mut is_escaped) = (false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_agent_can_read_is_refused() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let read = |text: &str| check_json(text.as_bytes()).and(check_depth(text.as_bytes()));
        assert_eq!(read(&nested(DEEPEST)), Ok(()));
        assert_eq!(read(&nested(DEEPEST + 1)), Err(Unfit::TooDeep));
        assert_eq!(read(&nested(100_000)), Err(Unfit::TooDeep));
        let text = format!("{{\"a\": \"\\\"{}\"}}", "[".repeat(1_000));
        assert_eq!(read(&text), Ok(()), "what stands in a text nests nothing");
        let wide = format!("[{}1]", "[],".repeat(1_000));
        assert_eq!(read(&wide), Ok(()));
    }
}
