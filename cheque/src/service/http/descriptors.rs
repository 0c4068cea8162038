//! The descriptors that the process may open, and the part of them for callers.

use std::io;

/// The most descriptors to ask for. More would serve nothing here.
#[cfg(unix)]
const WANTED: u64 = 65_536;

/// Raises the limit of open descriptors as far as the system allows without privileges, up to 65,536. Returns the limit, if there
/// is one.
#[cfg(unix)]
pub fn raise_descriptor_limit() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let wanted = now.maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
    if now.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(wanted),
            maximum: now.maximum,
        };
        // A sandbox may forbid the call. The limit stays as it is, then.
        let _ = setrlimit(Resource::Nofile, raised);
    }
    getrlimit(Resource::Nofile).current
}

/// Raises the limit of open descriptors. `None`: this system has none.
#[cfg(not(unix))]
pub const fn raise_descriptor_limit() -> Option<u64> {
    None
}

/// The descriptors for callers, of `limit`: three quarters at most, and never the last 64, which node, relays and store need. Half of
/// a limit below 128.
pub(super) fn left_for_callers(limit: u64) -> u64 {
    let reserve = (limit / 4).clamp(64, 1_024).min(limit / 2);
    limit.saturating_sub(reserve)
}

/// True if an accept failed because the process or the system has no descriptor or memory left for a connection.
#[cfg(unix)]
pub(super) fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = Errno::from_io_error(error);
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM]
        .map(Some)
        .contains(&errno)
}

/// True if an accept failed for want of a descriptor (`WSAEMFILE`) or a buffer (`WSAENOBUFS`).
#[cfg(not(unix))]
pub(super) fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(10_024 | 10_055))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_descriptors_for_node_and_store() {
        for (limit, left) in [
            (0, 0),
            (20, 10),
            (128, 64),
            (256, 192),
            (1_024, 768),
            (65_536, 64_512),
        ] {
            assert_eq!(left_for_callers(limit), left, "{limit}");
        }
    }
}
