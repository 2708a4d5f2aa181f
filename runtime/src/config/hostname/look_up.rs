//! The machine's name, as Python's `socket.getfqdn()` gives it.
//!
//! It is part of every checksum: with another name every series would start again. So it is found
//! as Python does it (`Lib/socket.py`): the host name, the first address that it resolves to, and
//! of the names of that address the first one with a dot, aliases included. Only the C library
//! returns aliases.
#![expect(unsafe_code, reason = "the C library's reverse look-up has no safe binding that gives the aliases")]

use std::{
    ffi::{CStr, c_char, c_int, c_void},
    net::{IpAddr, ToSocketAddrs as _},
    ptr,
};

use pattoo_measurement::Hostname;

/// Space for one result of the look-up, in bytes; it grows up to [`MAX_ANSWER`].
const ANSWER: usize = 8 << 10;
/// The largest result that is accepted.
const MAX_ANSWER: usize = 1 << 20;

/// Why the name of the machine is not known.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the name of this machine: {0}")]
pub(super) struct HostnameError(String);

/// The fully qualified name of this machine; its plain name if there is no better one.
///
/// # Errors
///
/// When the machine has no name, or one that is invalid in pattoo.
pub(super) fn fully_qualified_hostname() -> Result<Hostname, HostnameError> {
    let uname = rustix::system::uname();
    let plain = uname.nodename().to_str().map_err(|error| HostnameError(error.to_string()))?;
    let name = qualified(plain).unwrap_or_else(|| plain.to_owned());
    name.parse().map_err(|error| HostnameError(format!("{error}")))
}

/// The first name with a dot of the first address of `name`; the primary one if none has a dot.
fn qualified(name: &str) -> Option<String> {
    let address = (name, 0).to_socket_addrs().ok()?.next()?.ip();
    let names = names_of(address)?;
    names.iter().find(|name| name.contains('.')).or(names.first()).cloned()
}

/// The names of an address, the primary one first, then its aliases.
fn names_of(address: IpAddr) -> Option<Vec<String>> {
    match address {
        IpAddr::V4(address) => look_up(&address.octets(), libc::AF_INET),
        IpAddr::V6(address) => look_up(&address.octets(), libc::AF_INET6),
    }
}

unsafe extern "C" {
    // glibc and musl, <netdb.h>: the reentrant form, which the libc crate does not declare.
    fn gethostbyaddr_r(
        address: *const c_void,
        length: libc::socklen_t,
        family: c_int,
        entry: *mut libc::hostent,
        buffer: *mut c_char,
        size: usize,
        result: *mut *mut libc::hostent,
        error: *mut c_int,
    ) -> c_int;
}

fn look_up(address: &[u8], family: c_int) -> Option<Vec<String>> {
    let length = libc::socklen_t::try_from(address.len()).ok()?;
    let mut size = ANSWER;
    while size <= MAX_ANSWER {
        let mut buffer = vec![0u8; size];
        let mut entry = libc::hostent {
            h_name: ptr::null_mut(),
            h_aliases: ptr::null_mut(),
            h_addrtype: 0,
            h_length: 0,
            h_addr_list: ptr::null_mut(),
        };
        let mut result = ptr::null_mut();
        let mut error = 0;
        // SAFETY: every pointer is to a live value of the type that is declared; `address` has `length` bytes and `buffer`
        // `size`, and the function writes nowhere else.
        let status = unsafe {
            gethostbyaddr_r(
                address.as_ptr().cast(),
                length,
                family,
                &raw mut entry,
                buffer.as_mut_ptr().cast(),
                size,
                &raw mut result,
                &raw mut error,
            )
        };
        if status == libc::ERANGE {
            size = size.saturating_mul(4);
            continue;
        }
        if status != 0 || result.is_null() {
            return None;
        }
        // SAFETY: after success `entry` points into `buffer`, which is alive until after the names were copied: a C string,
        // and an array of C strings that ends in a null pointer.
        return Some(unsafe { copy_names(&entry) });
    }
    None
}

/// Copies the names out of a host entry.
///
/// # Safety
///
/// `h_name` is null or a C string; `h_aliases` is null or an array of C strings that ends in a null
/// pointer.
unsafe fn copy_names(entry: &libc::hostent) -> Vec<String> {
    // SAFETY: a pointer that is not null is a C string, as the caller promises.
    let text = |name: *mut c_char| unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
    let mut names = Vec::new();
    if !entry.h_name.is_null() {
        names.push(text(entry.h_name));
    }
    let mut alias = entry.h_aliases;
    // SAFETY: the array ends in a null pointer, as the caller promises, and `alias` is advanced only while not there yet.
    while !alias.is_null() && unsafe { !(*alias).is_null() } {
        // SAFETY: as above.
        unsafe {
            names.push(text(*alias));
            alias = alias.add(1);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::{fully_qualified_hostname, names_of};

    #[test]
    fn machine_has_a_name() {
        assert!(!fully_qualified_hostname().unwrap().as_str().is_empty());
    }

    #[test]
    fn loopback_has_the_name_localhost() {
        let names = names_of("127.0.0.1".parse().unwrap()).unwrap();
        assert!(names.iter().any(|name| name == "localhost"), "{names:?}");
    }

    #[test]
    fn unknown_address_has_no_name() {
        // TEST-NET-1, RFC 5737: an address that no machine has.
        assert_eq!(names_of("192.0.2.1".parse().unwrap()), None);
    }
}
