//! The numbers of network interfaces, which stand in the scope of link-local addresses.

#![expect(unsafe_code, reason = "if_nametoindex(3) has no safe binding for all systems")]

use std::ffi::CString;

/// The number of the network interface of this name; `None` if there is none. Opens no file.
#[must_use]
pub fn interface_index(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    // SAFETY: the name is a C string that outlives the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index != 0).then_some(index)
}
