//! Large allocations in huge pages.
//!
//! A table of a million rows takes tens of thousands of pages of 4 KiB, and the kernel needs about as long to provide them as
//! it takes to fill them. With pages of 2 MiB a few dozen are enough. Many kernels give huge pages only to memory with the
//! advice `MADV_HUGEPAGE`, which this allocator gives.

// an allocator is unsafe by contract; this one hands on the memory of the system's
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};

/// The system's allocator, which advises the kernel to use huge pages for large allocations. For `#[global_allocator]`.
#[derive(Debug, Default)]
pub struct HugePages;

/// The least size in bytes of an allocation in huge pages: rounding up to whole pages then costs
/// little.
const LARGE: usize = 8 << 20;

// SAFETY: all memory comes from `System` and goes back to it by its own layout; advice changes neither addresses nor content.
unsafe impl GlobalAlloc for HugePages {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `GlobalAlloc`, which is also that of `System`.
        let memory = unsafe { System.alloc(layout) };
        advise(memory, layout.size());
        memory
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        let memory = unsafe { System.alloc_zeroed(layout) };
        advise(memory, layout.size());
        memory
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as above; `memory` came from `System`.
        let memory = unsafe { System.realloc(memory, layout, new_size) };
        advise(memory, new_size);
        memory
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[inline]
fn advise(memory: *mut u8, size: usize) {
    if size >= LARGE && !memory.is_null() {
        advise_large(memory, size);
    }
}

#[cfg(target_os = "linux")]
#[cold]
fn advise_large(memory: *mut u8, size: usize) {
    const HUGE: usize = 2 << 20;
    let before = memory.align_offset(HUGE);
    let length = size.saturating_sub(before) / HUGE * HUGE;
    // SAFETY: the range lies within the allocation, and the advice changes no content. If the kernel refuses it, the pages stay
    // as they are.
    unsafe {
        libc::madvise(
            memory.wrapping_add(before).cast(),
            length,
            libc::MADV_HUGEPAGE,
        )
    };
}

#[cfg(not(target_os = "linux"))]
fn advise_large(_: *mut u8, _: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_zeroed_kept_and_aligned() {
        for size in [1, LARGE - 1, LARGE, LARGE + 12345, 5 * LARGE] {
            for align in [1, 8, 4096, 4 << 20] {
                let layout = Layout::from_size_align(size, align).expect("a layout");
                // SAFETY: the size is not 0, every pointer is checked and freed once by the layout that it has last
                unsafe {
                    let memory = HugePages.alloc_zeroed(layout);
                    assert!(!memory.is_null() && memory.addr().is_multiple_of(align));
                    let bytes = std::slice::from_raw_parts_mut(memory, size);
                    assert!(bytes.iter().all(|&byte| byte == 0));
                    bytes.fill(7);
                    let memory = HugePages.realloc(memory, layout, 2 * size);
                    assert!(!memory.is_null() && memory.addr().is_multiple_of(align));
                    let bytes = std::slice::from_raw_parts(memory, size);
                    assert!(bytes.iter().all(|&byte| byte == 7));
                    let layout = Layout::from_size_align(2 * size, align).expect("a layout");
                    HugePages.dealloc(memory, layout);
                }
            }
        }
    }
}
