//! The system's allocator, with counts of each thread's allocations.

#![expect(unsafe_code, reason = "an allocator that counts can be written in no other way")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

impl Counting {
    fn count(asked: usize, given_back: usize) {
        let change = i64::try_from(asked).unwrap_or(0).saturating_sub(i64::try_from(given_back).unwrap_or(0));
        // The counter is gone while a thread ends; it is not read then.
        let _ = HELD.try_with(|held| {
            held.set(held.get().saturating_add(change));
            let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
        });
        if asked > 0 {
            let _ = COUNT.try_with(|count| count.set(count.get().saturating_add(1)));
        }
    }
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size(), 0);
        // SAFETY: as it came.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size(), 0);
        // SAFETY: as it came.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        Self::count(0, layout.size());
        // SAFETY: as it came.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count(size, layout.size());
        // SAFETY: as it came.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// How often this thread allocates during `work`, and how much more it holds at most.
pub(crate) fn counted<T>(work: impl FnOnce() -> T) -> (T, u64, i64) {
    let (count, held) = (COUNT.get(), HELD.get());
    PEAK.set(held);
    let result = work();
    (result, COUNT.get() - count, PEAK.get() - held)
}

/// How much this thread holds.
pub(crate) fn held() -> i64 {
    HELD.get()
}
