//! JSON made readable without being changed: every number, name and repeated
//! member stays as it was written.

use serde::de::IgnoredAny;

/// Deepest nesting that is indented; the depth at which `serde_json` stops.
const MAX_DEPTH: usize = 128;

/// Bytes that indentation may add.
const MAX_ADDED_BYTES: usize = 32 << 20;

/// What became of a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Indented {
    NotJson,
    /// One member or element a line.
    Text(String),
    /// Nested deeper than [`MAX_DEPTH`], or much larger when it is indented.
    TooLarge,
}

/// Indents `json`.
///
/// Only the space between tokens changes. Reading it into values and writing
/// those would round large numbers and drop members of the same name. Every level
/// of nesting adds to every line below it: depth and size are bounded.
pub(super) fn indented(json: &[u8]) -> Indented {
    let text = match serde_json::from_slice::<IgnoredAny>(json) {
        Ok(_) => std::str::from_utf8(json),
        Err(_) => return Indented::NotJson,
    };
    // What parses as JSON is UTF-8.
    let Ok(text) = text else {
        return Indented::NotJson;
    };
    let mut indenter = Indenter::default();
    for c in text.chars() {
        indenter.take(c);
        if indenter.depth > MAX_DEPTH || indenter.out.len() > json.len() + MAX_ADDED_BYTES {
            return Indented::TooLarge;
        }
    }
    Indented::Text(indenter.out)
}

#[derive(Default)]
struct Indenter {
    out: String,
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    /// After an opening bracket: an empty pair stays together.
    is_opened: bool,
}

impl Indenter {
    fn take(&mut self, c: char) {
        if self.in_string {
            self.out.push(c);
            self.in_string = self.is_escaped || c != '"';
            self.is_escaped = !self.is_escaped && c == '\\';
            return;
        }
        match c {
            ' ' | '\t' | '\n' | '\r' => return,
            '}' | ']' => {
                self.depth = self.depth.saturating_sub(1);
                if !self.is_opened {
                    self.new_line();
                }
                self.is_opened = false;
            }
            _ if self.is_opened => {
                self.new_line();
                self.is_opened = false;
            }
            _ => {}
        }
        self.out.push(c);
        match c {
            '"' => self.in_string = true,
            '{' | '[' => {
                self.depth += 1;
                self.is_opened = true;
            }
            ',' => self.new_line(),
            ':' => self.out.push(' '),
            _ => {}
        }
    }

    fn new_line(&mut self) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n("  ", self.depth));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn text(json: &[u8]) -> String {
        match indented(json) {
            Indented::Text(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn deep_or_wide_json_is_not_indented() {
        let deep = "[".repeat(200_000) + &"]".repeat(200_000);
        assert_eq!(indented(deep.as_bytes()), Indented::TooLarge);
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(indented(nested(129).as_bytes()), Indented::TooLarge);
        assert!(matches!(
            indented(nested(128).as_bytes()),
            Indented::Text(_)
        ));
        let wide = format!(
            "{}{}{}",
            "[".repeat(127),
            vec!["1"; 200_000].join(","),
            "]".repeat(127)
        );
        assert_eq!(indented(wide.as_bytes()), Indented::TooLarge);
    }

    #[test]
    fn a_member_or_element_is_a_line() {
        let shown = text(br#"{"a":[1,{"b,]\"":null}],"c":{},"d":[ ]}"#);
        let expected = "{\n  \"a\": [\n    1,\n    {\n      \"b,]\\\"\": null\n    }\n  ],\n  \
                        \"c\": {},\n  \"d\": []\n}";
        assert_eq!(shown, expected);
    }

    #[test]
    fn no_digit_and_no_repeated_member_is_lost() {
        let json = r#"[1.10,123456789012345678901234567890,{"a":1,"a":2}]"#;
        let shown = text(json.as_bytes());
        let dense: String = shown.split_whitespace().collect();
        assert_eq!(dense, json);
    }

    #[test]
    fn what_is_no_json_is_not_shown_as_json() {
        for text in [&b"{"[..], b"text", b"", b"{} {}", b"\"\xff\""] {
            assert_eq!(indented(text), Indented::NotJson);
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[\\PC\"\\\\\n{}\\[\\],: ]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("\\PC{0,4}", inner), 0..4)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn indented_json_is_laid_out_as_serde_json_does_it(value in json()) {
            let dense = value.to_string();
            let shown = text(dense.as_bytes());
            prop_assert_eq!(shown, serde_json::to_string_pretty(&value)?);
        }
    }
}
