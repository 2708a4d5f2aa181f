//! The address space of this process. It is not memory: what is reserved in it takes nothing of the machine.
//!
//! A 64-bit processor usually gives a process 128 TiB of it, some give 256 GiB (39 bits, as on a Raspberry Pi), and
//! `ulimit -v` or a service manager may give less.
#![expect(unsafe_code, reason = "there is no safe binding to reserve address space and give it back")]

use std::ptr;

use rustix::process::{Resource, getrlimit};

/// How many bytes this process may have, if that is limited.
pub(crate) fn limit() -> Option<u64> {
    getrlimit(Resource::As).current
}

/// Whether so many bytes in one piece are left.
pub(crate) fn has_left(bytes: usize) -> bool {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: the system chooses a place where nothing is; it is given back at once, and nobody uses it until then.
    unsafe {
        let place = libc::mmap(ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0);
        place != libc::MAP_FAILED && libc::munmap(place, bytes) == 0
    }
}

/// Has the C library take address space for one heap where that is limited. By itself it reserves 64 MiB for each of many
/// heaps, so that threads do not wait for each other. For the start of a process, before it has threads.
pub fn save_address_space() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if limit().is_some() {
        // SAFETY: it takes two numbers and keeps them.
        unsafe {
            libc::mallopt(libc::M_ARENA_MAX, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::has_left;

    #[test]
    fn a_gibibyte_is_left_and_more_than_any_processor_has_is_not() {
        assert!(has_left(1 << 30));
        assert!(!has_left(1 << 60));
    }
}
