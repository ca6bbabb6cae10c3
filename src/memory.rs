//! What is freed goes back to the system.

/// Bytes. The C library's own value at start.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: libc::c_int = 128 * 1024;

/// Keeps large buffers out of the heap, so that each goes back to the system
/// when it is freed. The C library does so at first, but after every large
/// buffer that is freed it takes the next ones of that size from the heap, where
/// records of all sizes then leave holes that no other fits into: a quarter of
/// the memory, with records of up to 3 MB. Naming the limit ends that.
pub fn return_large_buffers() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code, reason = "only the C library sets up its own heap")]
    // SAFETY: sets a number, before there is any other thread.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
    }
}
