/// The time in which something may have been so: strictly after `after` and strictly before `before`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) after: u64,
    pub(super) before: u64,
}

impl Window {
    pub(super) const ALWAYS: Self = Self { after: 0, before: u64::MAX };

    /// When both may have been so at once.
    pub(super) fn and(self, other: Self) -> Self {
        Self { after: self.after.max(other.after), before: self.before.min(other.before) }
    }

    /// Whether there is such a time.
    pub(super) fn is_open(self) -> bool {
        self.after < self.before
    }
}
