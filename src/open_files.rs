//! How many files and connections the process may have open at once.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit to the most that the system allows. Many systems begin
/// with 1,024, for the sake of programs that wait by select(2); this one has
/// none of that.
pub fn raise_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    // Where that is not allowed, it stays as it is.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// The limit now; `None` where there is none.
pub fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}
