//! What the targets of the fuzzer share: what they do, and how their process is set up.

use std::alloc::{GlobalAlloc, Layout, System};

pub mod bodies;

/// Prepares a process that fuzzes.
pub fn start() {
    // Libraries that panic on damaged files are caught by the code under test, but the hook of libfuzzer-sys would abort.
    // A panic that nobody catches still ends the process, where the target returns. Messages are for a single input only.
    std::panic::set_hook(Box::new(|panic| {
        if std::env::var_os("FUZZ_SHOW_PANICS").is_some() {
            eprintln!("{panic}");
        }
    }));
    // one thread: the same input takes the same way
    rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .use_current_thread()
        .build_global()
        .expect("nothing has used the pool before");
}

/// The system's allocator, but no allocation is larger than `-malloc_limit_mb=512` would allow: that option needs a sanitizer.
struct Bounded;

const MOST_BYTES: usize = 512 << 20;

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

// SAFETY: all memory is the system allocator's, whose contract is passed on; a null pointer says that there is none.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > MOST_BYTES {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller keeps the contract of `alloc`
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() > MOST_BYTES {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller keeps the contract of `alloc_zeroed`
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: `memory` came from the system's allocator with this layout
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > MOST_BYTES {
            return std::ptr::null_mut();
        }
        // SAFETY: `memory` came from the system's allocator with this layout; the caller keeps the contract of `realloc`
        unsafe { System.realloc(memory, layout, size) }
    }
}
