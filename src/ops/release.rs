//! Which release runs, and of which revision of the source it was built.

/// As Cargo.toml has it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit, with `-dirty` where files differed from it; "unknown" without git, "debug" in a debug build.
pub const REVISION: &str = env!("MIRRORBALL_REVISION");
/// Both, as `--version` says it.
pub const FULL: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("MIRRORBALL_REVISION"), ")");
