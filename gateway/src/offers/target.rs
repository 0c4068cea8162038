//! Targets of requests. What the gateway prices is what the upstream gets, so a target that two programs may read in two
//! ways is refused.

/// The path and the query of a request, in the one form that is priced and forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    text: String,
    path_length: usize,
}

/// The reason why a target is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The target does not begin with a slash.
    #[error("a target begins with /")]
    NotAbsolute,
    /// The path has a segment of one or two dots.
    #[error("the path has a dot segment; send the path that it leads to")]
    DotSegment,
    /// The path has an empty segment before its end.
    #[error("the path has an empty segment; send it without")]
    EmptySegment,
    /// The target has a backslash, a fragment, or a character that is not printable ASCII.
    #[error("the target has a character that a target does not have; encode it")]
    Character,
    /// The target has a percent sign without two hexadecimal digits.
    #[error("the target has a percent sign without two hexadecimal digits")]
    Percent,
    /// The path encodes a slash, a backslash, a control character, or a character that needs no encoding.
    #[error("the path encodes the character {0:#04x}; send it as itself, or not at all")]
    Encoded(u8),
}

impl Target {
    /// Checks the path and the query of a request.
    ///
    /// # Errors
    ///
    /// [`TargetError`] names the first fault.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        if !text.starts_with('/') {
            return Err(TargetError::NotAbsolute);
        }
        let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'#');
        if !text.bytes().all(allowed) {
            return Err(TargetError::Character);
        }
        let path_length = text.find('?').unwrap_or(text.len());
        let (path, query) = text.split_at(path_length);
        check_percent(query)?;
        for byte in encoded(path)? {
            let is_needless =
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
            let is_harmful = byte.is_ascii_control() || matches!(byte, b'/' | b'\\' | b'%');
            if is_needless || is_harmful {
                return Err(TargetError::Encoded(byte));
            }
        }
        let segments: Vec<_> = path[1..].split('/').collect();
        if segments
            .iter()
            .any(|segment| matches!(*segment, "." | ".."))
        {
            return Err(TargetError::DotSegment);
        }
        if segments
            .split_last()
            .is_some_and(|(_, inner)| inner.contains(&""))
        {
            return Err(TargetError::EmptySegment);
        }
        Ok(Self {
            text: text.to_owned(),
            path_length,
        })
    }

    /// Returns the path.
    pub fn path(&self) -> &str {
        &self.text[..self.path_length]
    }

    /// Returns path and query, as received.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn check_percent(text: &str) -> Result<(), TargetError> {
    encoded(text).map(drop)
}

/// The bytes that a text encodes by a percent sign.
fn encoded(text: &str) -> Result<Vec<u8>, TargetError> {
    let mut found = Vec::new();
    for part in text.split('%').skip(1) {
        let digits = part.get(..2).ok_or(TargetError::Percent)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(TargetError::Percent);
        }
        found.push(u8::from_str_radix(digits, 16).map_err(|_| TargetError::Percent)?);
    }
    Ok(found)
}
