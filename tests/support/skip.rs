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
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{variable} must be set in CI: no test may be skipped there"
    );
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let first = SAID
        .lock()
        .expect("nobody panics while saying it")
        .insert(variable.to_owned());
    if first {
        // Not eprintln!, which is shown only for tests that fail.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: {variable} is not set, so what needs it is NOT tested"
        );
    }
    None
}
