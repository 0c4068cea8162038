//! Patterns of paths.

/// A pattern of paths. `*` stands for any characters within a segment, `**` as the last segment for all further segments,
/// none included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    text: String,
    segments: Vec<String>,
    has_rest: bool,
}

impl Glob {
    /// The pattern that takes every path.
    pub(super) fn all() -> Self {
        Self {
            text: "/**".to_owned(),
            segments: Vec::new(),
            has_rest: true,
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let Some(path) = text.strip_prefix('/') else {
            return Err("a path begins with /");
        };
        if path.contains(['?', '#', '%', '\\', ';'])
            || !path.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err("a path has no query and no special characters; write * for these");
        }
        let mut segments: Vec<_> = path.split('/').map(str::to_owned).collect();
        let has_rest = segments.last().is_some_and(|last| last == "**");
        if has_rest {
            segments.pop();
        }
        if segments.iter().any(|segment| segment.contains("**")) {
            return Err("** is the last segment of a path only");
        }
        let inner = segments.len().saturating_sub(usize::from(!has_rest));
        if segments.iter().take(inner).any(String::is_empty) {
            return Err("a path has no empty segments");
        }
        Ok(Self {
            text: text.to_owned(),
            segments,
            has_rest,
        })
    }

    /// Returns the pattern as written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// True for a pattern without stars, which names one path.
    pub(super) fn is_literal(&self) -> bool {
        !self.text.contains('*')
    }

    /// True if the pattern takes a path. The path begins with `/`.
    pub(super) fn matches(&self, path: &str) -> bool {
        let mut rest = path.strip_prefix('/').unwrap_or(path).split('/');
        for pattern in &self.segments {
            match rest.next() {
                Some(segment) if matches_segment(pattern.as_bytes(), segment.as_bytes()) => {}
                _ => return false,
            }
        }
        self.has_rest || rest.next().is_none()
    }
}

/// Compares a segment with a pattern. Each `*` is tried at each place once, so the work is bounded by the product of the
/// lengths.
fn matches_segment(pattern: &[u8], segment: &[u8]) -> bool {
    let (mut p, mut s, mut star) = (0, 0, None);
    while s < segment.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, s));
                p += 1;
            }
            Some(byte) if *byte == segment[s] => (p, s) = (p + 1, s + 1),
            _ => match star {
                // The last star takes one byte more.
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, s) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}
