//! What is freed goes back to the system.

/// Bytes. The C library's own value at start.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: libc::c_int = 128 * 1024;

/// Heaps. Threads would share up to eight for each processor, and each heap keeps
/// what its threads once needed: a third of the memory of a producer that has
/// much to read, which is not faster with more of them.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const HEAPS: libc::c_int = 4;

/// Has few heaps, and keeps large buffers out of them, so that each goes back to the system
/// when it is freed. The C library does so at first, but after every large
/// buffer that is freed it takes the next ones of that size from the heap, where
/// records of all sizes then leave holes that no other fits into: a quarter of
/// the memory, with records of up to 3 MB. Naming the limit ends that.
pub fn set_up() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code, reason = "only the C library sets up its own heap")]
    // SAFETY: sets numbers, before there is any other thread.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_ARENA_MAX, HEAPS);
    }
}
