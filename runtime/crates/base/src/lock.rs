//! Locks whose holder may have panicked.
//!
//! A panic while a lock is held poisons it. The values behind the locks of this program are valid
//! after every single statement, so the next holder of such a lock uses the value as it is.
//!
//! ```
//! use std::sync::Mutex;
//!
//! use pattoo_base::lock::lock;
//!
//! let count = Mutex::new(1);
//! *lock(&count) += 1;
//! assert_eq!(*lock(&count), 2);
//! ```

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Locks a mutex.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks for reading.
pub fn read<T: ?Sized>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Locks for writing.
pub fn write<T: ?Sized>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::lock;

    #[test]
    fn lock_of_a_thread_that_panicked_is_taken_with_its_value() {
        let value = Arc::new(Mutex::new(1));
        let held = Arc::clone(&value);
        let panicked = std::thread::spawn(move || {
            *lock(&held) = 2;
            let _held = lock(&held);
            panic!("while it is locked");
        });
        assert!(panicked.join().is_err());
        assert_eq!(*lock(&value), 2);
    }
}
