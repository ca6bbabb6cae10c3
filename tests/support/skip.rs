//! What happens to a test whose service is missing.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Mutex;

/// The value of a variable that names a service. `None`, said loudly once,
/// where it is not set; a failure with CI=true.
pub fn service(variable: &str) -> Option<String> {
    if let Ok(value) = std::env::var(variable)
        && !value.is_empty()
    {
        return Some(value);
    }
    skipped(&format!("{variable} is not set"));
    None
}

/// Says loudly, once, why something cannot be tested here; a failure with
/// CI=true.
pub fn skipped(why: &str) {
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "no test may be skipped in CI: {why}"
    );
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let first = SAID
        .lock()
        .expect("nobody panics while saying it")
        .insert(why.to_owned());
    if first {
        // Not eprintln!, which is shown only for tests that fail.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: {why}, so what needs it is NOT tested"
        );
    }
}
