//! Which topic of Kafka a topic of the archive goes to.

use std::collections::BTreeMap;

use super::UsageError;
use crate::cli::RestoreArgs;
use crate::config::{is_internal, is_topic_name};

/// `--to` and `--map`, understood.
#[derive(Debug)]
pub(super) struct Targets {
    all: Option<String>,
    each: BTreeMap<String, String>,
}

impl Targets {
    pub fn read(args: &RestoreArgs) -> Result<Self, UsageError> {
        if let Some(topic) = &args.to {
            check("--to", topic)?;
        }
        let mut each = BTreeMap::new();
        for typed in &args.map {
            let (from, to) = pair(typed)?;
            if each.insert(from.clone(), to).is_some() {
                return Err(UsageError(format!(
                    "--map names topic {from} twice: leave one of them out"
                )));
            }
        }
        Ok(Self {
            all: args.to.clone(),
            each,
        })
    }

    /// A topic that Kafka could not have must be given another name.
    pub fn of(&self, topic: &str) -> Result<String, UsageError> {
        let named = self.all.as_ref().or_else(|| self.each.get(topic));
        if let Some(target) = named {
            return Ok(target.clone());
        }
        check(&format!("--map {topic}=…:"), topic)?;
        Ok(topic.to_owned())
    }
}

fn pair(typed: &str) -> Result<(String, String), UsageError> {
    let no_pair = || {
        UsageError(format!(
            "--map {typed:?} is no pair of topics: write FROM=TO, the archive's name first"
        ))
    };
    let (from, to) = typed.split_once('=').ok_or_else(no_pair)?;
    if from.is_empty() {
        return Err(no_pair());
    }
    check("--map", to)?;
    Ok((from.to_owned(), to.to_owned()))
}

fn check(option: &str, topic: &str) -> Result<(), UsageError> {
    if !is_topic_name(topic) {
        return Err(UsageError(format!(
            "{option} {topic:?} is not the name of one topic (1 to 249 of letters, digits, . _ -): correct it"
        )));
    }
    if is_internal(topic) {
        return Err(UsageError(format!(
            "{option} {topic:?} is a topic of the broker's own: choose another name"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn targets(to: Option<&str>, map: &[&str]) -> Result<Targets, UsageError> {
        Targets::read(&RestoreArgs {
            to: to.map(str::to_owned),
            map: map.iter().map(|pair| (*pair).to_owned()).collect(),
            ..RestoreArgs::default()
        })
    }

    #[test]
    fn a_topic_goes_where_it_is_told_and_else_to_its_own_name() {
        let mapped = targets(None, &["a=b"]).expect("sound");
        assert_eq!(mapped.of("a").ok().as_deref(), Some("b"));
        assert_eq!(mapped.of("c").ok().as_deref(), Some("c"));
        let one = targets(Some("all"), &[]).expect("sound");
        assert_eq!(one.of("a").ok().as_deref(), Some("all"));
    }

    #[test]
    fn what_no_topic_can_be_called_is_told() {
        for (to, map) in [
            (Some(""), &[][..]),
            (Some("a b"), &[]),
            (Some("__consumer_offsets"), &[]),
            (None, &["a"]),
            (None, &["=b"]),
            (None, &["a="]),
            (None, &["a=b/c"]),
            (None, &["a=b", "a=c"]),
        ] {
            assert!(targets(to, map).is_err(), "{to:?} {map:?}");
        }
        assert!(
            targets(None, &[])
                .expect("sound")
                .of("a+oversized")
                .is_err()
        );
    }

    proptest! {
        #[test]
        fn every_pair_of_names_is_understood(from in "[a-z.-]{1,20}", to in "[a-z-]{1,20}") {
            let read = targets(None, &[&format!("{from}={to}")]).expect("sound");
            prop_assert_eq!(read.of(&from).ok(), Some(to));
        }

        #[test]
        fn no_text_panics(typed in "\\PC{0,40}") {
            let _ = targets(Some(&typed), &[&typed]);
        }
    }
}
