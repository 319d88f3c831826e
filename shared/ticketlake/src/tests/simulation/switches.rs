//! What scenarios may have. A switch is off while the engine is known to break the law with it.

/// Totals that are capped, wrong, or those of one page.
pub(super) const ODD_TOTALS: bool = true;
/// Totals that the manifest does not name.
pub(super) const UNDECLARED_TOTALS: bool = true;
/// Manifests without a paginator.
pub(super) const UNDECLARED: bool = true;
/// Fields that say whether there is more.
pub(super) const HINTS: bool = true;
/// Queries that are deeper than the API serves.
pub(super) const SPLITS: bool = true;
/// Records without the date that a query is split by.
pub(super) const UNDATED: bool = true;
/// Times between two whole seconds.
pub(super) const SUB_SECONDS: bool = true;
/// Windows of a split whose bounds are exclusive, or compared by second or day.
pub(super) const ODD_WINDOW_BOUNDS: bool = true;
/// Filters by the cursor whose bounds are exclusive, or compared by second or day.
pub(super) const ODD_CURSOR_BOUNDS: bool = true;
/// APIs that answer a forgotten page token with an empty page.
pub(super) const EMPTY_FOR_FORGOTTEN: bool = false;
/// Records without a key.
pub(super) const REJECTIONS: bool = true;
/// Two records with one key.
pub(super) const TWINS: bool = false;
/// Runs with another filter, another page size, or against a sandbox.
pub(super) const CORRECTIONS: bool = true;
/// The same for resources with a cursor.
pub(super) const CORRECTIONS_WITH_CURSOR: bool = true;
/// Runs with `--from` and `--to`.
pub(super) const RANGES: bool = true;
/// Runs whose clock is wrong.
pub(super) const CLOCKS: bool = false;
/// Limits of depth that are no multiple of the page size.
pub(super) const UNEVEN_DEPTHS: bool = false;
/// Pages that the API leaves empty although it has records.
pub(super) const EMPTY_PAGES: bool = true;
/// Whether the law holds for a reading over several runs while the API changes.
pub(super) const RESUMED_DRIFT: bool = true;
/// Whether no row may be removed by a reading that nothing proves.
pub(super) const UNPROVEN_REMOVAL: bool = true;
/// Totals that stop at a number that is not round and that the manifest does not name. The engine notices one where the last page by offset is
/// full, from ten records on. Otherwise such a total is one that the API gives as exact.
pub(super) const CAPPED_TOTALS: bool = false;
/// Bounds of which the API compares the days alone. Windows of a split overlap by a second, so that such an API is `incomplete`.
pub(super) const DAY_BOUNDS: bool = false;
/// Whether the law holds for a query that is split while the API changes. A record that is removed, or one that is added, after its part was
/// read can stand for another one.
pub(super) const SPLIT_DRIFT: bool = false;
