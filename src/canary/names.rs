//! Makes name look-ups safe in a static program: the C library is told not to load modules.

use std::ffi::{c_char, c_int};

#[expect(unsafe_code, reason = "glibc offers this switch to C only")]
mod glibc {
    use super::{c_char, c_int};

    unsafe extern "C" {
        pub(super) fn __nss_configure_lookup(database: *const c_char, line: *const c_char)
        -> c_int;
    }
}

/// Looks up host names in `/etc/hosts`, then by DNS, whatever `nsswitch.conf` says: a static glibc would load
/// the other modules (`resolve`, `mymachines`) of another glibc and crash.
#[expect(unsafe_code, reason = "two constant strings that end in zero")]
pub(crate) fn resolve_without_modules() {
    // A failure would mean that glibc has no such database; the look-ups then are what they were.
    unsafe {
        glibc::__nss_configure_lookup(c"hosts".as_ptr(), c"files dns".as_ptr());
    }
}
