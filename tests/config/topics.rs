use archive_ingest::config::{TopicGlobs, TopicSelection, Verdict, is_topic_name};
use proptest::prelude::*;

fn globs(patterns: &[&str]) -> TopicGlobs {
    TopicGlobs::parse(patterns).unwrap()
}

fn selection(wanted: &[&str], vetoed: &[&str], only: Option<&str>) -> TopicSelection {
    TopicSelection {
        wanted: globs(wanted),
        vetoed: globs(vetoed),
        only: only.map(str::to_owned),
        public: TopicGlobs::none(),
    }
}

#[test]
fn topics_that_start_with_two_underscores_are_never_archived() {
    let all = selection(&["*", "__*"], &[], None);
    for topic in [
        "__consumer_offsets",
        "__transaction_state",
        "__cluster_metadata",
        "__x",
    ] {
        assert_eq!(all.archives(topic), Verdict::Internal);
    }
    assert_eq!(all.archives("_schemas"), Verdict::Wanted);
}

#[test]
fn a_veto_goes_before_what_is_wanted_and_says_which_it_was() {
    let some = selection(&["gcn.*"], &["x", "*.test", "gcn.?"], None);
    assert_eq!(some.archives("gcn.circular"), Verdict::Wanted);
    assert_eq!(some.archives("gcn.test"), Verdict::Vetoed { by: "*.test" });
    assert_eq!(some.archives("gcn.x"), Verdict::Vetoed { by: "gcn.?" });
    assert_eq!(some.archives("igwn.gwalert"), Verdict::NotWanted);
}

#[test]
fn a_test_topic_is_the_only_one() {
    let one = selection(&["*"], &["sys.*"], Some("gcn.test"));
    assert_eq!(one.archives("gcn.test"), Verdict::Wanted);
    assert_eq!(one.archives("gcn.test2"), Verdict::NotWanted);
    assert_eq!(one.archives("sys.x"), Verdict::Vetoed { by: "sys.*" });
}

#[test]
fn an_oversized_message_is_as_public_as_its_topic() {
    let public = TopicSelection {
        public: globs(&["gcn.circular", "open.*"]),
        ..selection(&["*"], &[], None)
    };
    for topic in ["gcn.circular", "gcn.circular+oversized", "open.x+oversized"] {
        assert!(public.is_public(topic), "{topic}");
    }
    for topic in [
        "gcn.circulars",
        "closed+oversized",
        "gcn.circular+oversized+oversized",
    ] {
        assert!(!public.is_public(topic), "{topic}");
    }
    assert!(!selection(&["*"], &[], None).is_public("gcn.circular"));
}

#[test]
fn a_name_that_ends_in_a_dot_is_matched_like_any_other() {
    assert!(globs(&["*."]).is_match("a."));
    assert!(globs(&["*.b."]).is_match("a.b."));
}

#[test]
fn topic_globs_are_equal_when_their_patterns_are() {
    assert_eq!(globs(&["a", "b*"]), globs(&["a", "b*"]));
    assert_ne!(globs(&["a", "b*"]), globs(&["b*", "a"]));
    assert_eq!(format!("{:?}", globs(&["a"])), "[\"a\"]");
}

#[test]
fn only_what_kafka_takes_is_a_topic_name() {
    for name in ["a", "A-b_c.9", "...", &"x".repeat(249)] {
        assert!(is_topic_name(name), "{name}");
    }
    for name in [
        "",
        ".",
        "..",
        "a b",
        "a*",
        "ä",
        "a+oversized",
        &"x".repeat(250),
    ] {
        assert!(!is_topic_name(name), "{name}");
    }
}

/// What `*` and `?` mean, by recursion.
fn matches(pattern: &[u8], topic: &[u8]) -> bool {
    match (pattern, topic) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => {
            matches(rest, topic) || (!topic.is_empty() && matches(pattern, &topic[1..]))
        }
        ([b'?', pattern @ ..], [_, topic @ ..]) => matches(pattern, topic),
        ([a, pattern @ ..], [b, topic @ ..]) if a == b => matches(pattern, topic),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_star_is_any_text_and_a_question_mark_any_character(
        patterns in prop::collection::vec("[ab._*?-]{1,6}", 1..4),
        topic in "[ab._-]{1,8}",
    ) {
        let globs = TopicGlobs::parse(&patterns).unwrap();
        let expected = patterns.iter().find(|p| matches(p.as_bytes(), topic.as_bytes()));
        prop_assert_eq!(globs.matching(&topic), expected.map(String::as_str));
        prop_assert_eq!(globs.is_match(&topic), expected.is_some());
    }

    #[test]
    fn a_topic_name_is_a_pattern_that_matches_itself_alone(
        name in "[a-zA-Z0-9._-]{1,249}",
        other in "[a-zA-Z0-9._-]{1,249}",
    ) {
        let globs = TopicGlobs::parse([&name]).unwrap();
        prop_assert!(globs.is_match(&name));
        prop_assert_eq!(globs.is_match(&other), name == other);
    }

    #[test]
    fn no_text_as_pattern_panics(text in "\\PC*|[ab*?\\[\\]{}!^,.-]*") {
        if let Err(error) = TopicGlobs::parse([&text]) {
            prop_assert_eq!(error.to_string().lines().count(), 1);
        }
    }
}
