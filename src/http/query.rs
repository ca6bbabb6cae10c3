//! What stands behind the `?`.

use std::str::FromStr;

use super::problem::Problem;

/// Names and values, in order, decoded; what is not UTF-8 becomes replacement
/// characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(text: &str) -> Self {
        let pairs = form_urlencoded::parse(text.as_bytes());
        Self(
            pairs
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    /// The values of a name that may be repeated.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first value of a name.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// A whole number, in decimal. Errors: 400.
    pub fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_decimal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        match text.parse() {
            Ok(number) if is_decimal => Ok(Some(number)),
            _ => Err(Problem::bad_request(format!(
                "{name} must be a whole number"
            ))),
        }
    }

    /// A switch, as the clients of both generations write it. Errors: 400.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool, Problem> {
        let Some(text) = self.text(name) else {
            return Ok(default);
        };
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" | "t" | "y" => Ok(true),
            "false" | "0" | "no" | "off" | "f" | "n" => Ok(false),
            _ => Err(Problem::bad_request(format!(
                "{name} must be true or false"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_encoded_is_read_back(pairs in prop::collection::vec(("\\PC{0,8}", "\\PC{0,12}"), 0..6)) {
            let mut text = form_urlencoded::Serializer::new(String::new());
            text.extend_pairs(&pairs);
            prop_assert_eq!(Query::parse(&text.finish()).0, pairs);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[ -~]{0,60}") {
            let query = Query::parse(&text);
            let _ = (query.number::<i64>("a"), query.flag("b", true), query.all("c").count());
        }

        #[test]
        fn every_number_is_read_back(number: i64) {
            let query = Query::parse(&format!("n={number}"));
            prop_assert_eq!(query.number::<i64>("n").expect("a number"), Some(number));
        }
    }

    #[test]
    fn what_is_no_number_or_no_switch_is_refused() {
        for text in [
            "",
            "+1",
            "1.0",
            "1e3",
            " 1",
            "0x1",
            "9223372036854775808",
            "-",
        ] {
            let query = Query::parse(&format!("n={}", text.replace('+', "%2B")));
            assert!(query.number::<i64>("n").is_err(), "{text:?}");
        }
        assert!(Query::parse("b=maybe").flag("b", true).is_err());
        assert!(Query::parse("b=").flag("b", true).is_err());
        assert!(Query::parse("b=True").flag("b", false).expect("a switch"));
    }
}
