use std::borrow::Cow;

/// Why a value cannot be what it claims to be, in words a person can act on.
///
/// The text names the rule and never repeats the value, so it is safe to log and to send back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(Cow<'static, str>);

impl Invalid {
    /// States the rule that was broken.
    pub fn new(rule: impl Into<Cow<'static, str>>) -> Self {
        Self(rule.into())
    }
}
