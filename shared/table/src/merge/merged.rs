//! The counts of a merge or a removal.

/// The counts of a merge or a removal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// The rows that were inserted, because their key was not stored.
    pub new: u64,
    /// The rows that were updated: they replaced a stored version that differed.
    pub changed: u64,
    /// The rows that were not written: an equal or a newer version was stored, or any version if the table only inserts (`append`), or a
    /// newer row of the same merge has their key.
    pub unchanged: u64,
    /// The rows that were removed, because a complete run did not see their key or because of their age.
    pub removed: u64,
    /// The rows that were marked as vanished.
    pub vanished: u64,
    /// The parts that were written.
    pub objects: u64,
    /// The size of these parts in bytes.
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
