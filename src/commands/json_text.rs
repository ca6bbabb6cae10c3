//! JSON made readable without being changed: every number, name and repeated
//! member stays as it was written.

use serde::de::IgnoredAny;

/// `json` with one member or element a line; `None` if it is no JSON.
///
/// Only the space between tokens changes. Reading it into values and writing
/// those would round large numbers and drop members of the same name.
pub(super) fn indented(json: &[u8]) -> Option<String> {
    serde_json::from_slice::<IgnoredAny>(json).ok()?;
    let mut indenter = Indenter::default();
    // What parses as JSON is UTF-8.
    std::str::from_utf8(json)
        .ok()?
        .chars()
        .for_each(|c| indenter.take(c));
    Some(indenter.out)
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

    #[test]
    fn a_member_or_element_is_a_line() {
        let shown = indented(br#"{"a":[1,{"b,]\"":null}],"c":{},"d":[ ]}"#).expect("JSON");
        let expected = "{\n  \"a\": [\n    1,\n    {\n      \"b,]\\\"\": null\n    }\n  ],\n  \
                        \"c\": {},\n  \"d\": []\n}";
        assert_eq!(shown, expected);
    }

    #[test]
    fn no_digit_and_no_repeated_member_is_lost() {
        let json = r#"[1.10,123456789012345678901234567890,{"a":1,"a":2}]"#;
        let shown = indented(json.as_bytes()).expect("JSON");
        let dense: String = shown.split_whitespace().collect();
        assert_eq!(dense, json);
    }

    #[test]
    fn what_is_no_json_is_not_shown_as_json() {
        for text in [&b"{"[..], b"text", b"", b"{} {}", b"\"\xff\""] {
            assert_eq!(indented(text), None);
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
            let shown = indented(dense.as_bytes());
            prop_assert_eq!(shown, Some(serde_json::to_string_pretty(&value)?));
        }
    }
}
