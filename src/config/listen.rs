//! `[listen]`: the HTTP listeners. Their keys are known, so that a file with
//! them is understood; nothing listens yet.

use super::key::Key;

pub(super) const KEYS: &[&Key] = &[
    &Key::text("api-listen", "HOST:PORT of the archive API, or off")
        .default("off")
        .only_off("this version has no archive API; remove it or set it to \"off\""),
    &Key::text(
        "producer-listen",
        "HOST:PORT of the producer's control, or off",
    )
    .default("off")
    .only_off("this version has no producer; remove it or set it to \"off\""),
    &Key::text("bridge-listen", "HOST:PORT of the bridge, or off")
        .default("off")
        .only_off("this version has no bridge; remove it or set it to \"off\""),
];
