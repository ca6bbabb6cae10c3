//! Routes functions of librdkafka through this program, where the linker can.
//!
//! See `src/kafka/fetch_memory.rs`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        for function in ["rd_kafka_buf_new_shadow", "rd_kafka_msgset_parse"] {
            println!("cargo:rustc-link-arg=-Wl,--wrap={function}");
        }
    }
}
