//! Settings of the kernel, as sysctl(8) names them.

use std::fs;

/// A number among them, where it is to be seen: a container may not see all.
pub fn setting(name: &str) -> Option<usize> {
    let file = format!("/proc/sys/{}", name.replace('.', "/"));
    fs::read_to_string(file).ok()?.trim().parse().ok()
}
