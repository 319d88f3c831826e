//! What a merge did, in numbers.

/// What a merge did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Rows whose key was not stored.
    pub new: u64,
    /// Rows that replaced a stored version.
    pub changed: u64,
    /// Rows that said what was stored already, or (`append`) whose key was.
    pub unchanged: u64,
    /// Rows taken out because a complete extraction did not have their key, or because they are kept no longer.
    pub removed: u64,
    /// Rows marked because a complete extraction did not have their key.
    pub vanished: u64,
    /// Objects written.
    pub objects: u64,
    /// Their bytes.
    pub bytes_written: u64,
}

impl std::ops::AddAssign for Merged {
    fn add_assign(&mut self, other: Self) {
        self.new += other.new;
        self.changed += other.changed;
        self.unchanged += other.unchanged;
        self.removed += other.removed;
        self.vanished += other.vanished;
        self.objects += other.objects;
        self.bytes_written += other.bytes_written;
    }
}
