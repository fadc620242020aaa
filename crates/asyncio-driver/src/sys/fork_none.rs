//! No forks, nothing to count.

/// Always 0: processes of this system do not fork.
#[must_use]
pub fn fork_generation() -> u32 {
    0
}
