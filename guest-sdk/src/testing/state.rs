//! The rules of `state`.

use std::collections::BTreeMap;

use crate::state::ErrorKind;

/// The runtime's default: all keys and values together.
const MAX_BYTES: usize = 1 << 20;

pub(super) fn set(state: &mut BTreeMap<String, Vec<u8>>, key: &str, value: &[u8]) -> Result<(), ErrorKind> {
    if !(1..=255).contains(&key.len()) {
        return Err(ErrorKind::Invalid(format!("a key is 1 to 255 bytes, not {}", key.len())));
    }
    let others = state.iter().filter(|(other, _)| *other != key);
    let bytes = others.flat_map(|(key, value)| [key.len(), value.len()]).chain([key.len(), value.len()]).sum::<usize>();
    if bytes > MAX_BYTES {
        return Err(ErrorKind::Quota(format!(
            "all keys and values together would be {bytes} bytes, and may be {MAX_BYTES}"
        )));
    }
    state.insert(key.to_owned(), value.to_vec());
    Ok(())
}
