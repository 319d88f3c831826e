//! The three collections: their fields, and which of them select, filter and sort.

/// A collection of the API that the sandbox has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// `/v1/organizations`
    Organizations,
    /// `/v1/products`
    Products,
    /// `/v1/projects`
    Projects,
}

impl Resource {
    /// Every collection.
    pub const ALL: [Self; 3] = [Self::Organizations, Self::Products, Self::Projects];

    /// Its path below `/v1/`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Organizations => "organizations",
            Self::Products => "products",
            Self::Projects => "projects",
        }
    }

    /// Every field that `fields` accepts. Not among them are `note` of a project, which the reference excludes, so that
    /// no collection ever gives it, and `nodeID`, which the vendor's clients never select: it comes with the `id`.
    pub fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Organizations => &[
                "addresses",
                "attachments",
                "business_unit",
                "business_unit_organization",
                "contacts",
                "created_at",
                "custom_fields",
                "disabled",
                "end_user_privacy",
                "financialID",
                "id",
                "manager",
                "name",
                "order_template",
                "parent",
                "picture_uri",
                "region",
                "remarks",
                "source",
                "sourceID",
                "substitute",
                "ui_extension",
                "updated_at",
            ],
            Self::Products => &[
                "attachments",
                "brand",
                "category",
                "created_at",
                "custom_fields",
                "depreciation_method",
                "disabled",
                "financial_owner",
                "id",
                "model",
                "name",
                "picture_uri",
                "productID",
                "rate",
                "recurrence",
                "remarks",
                "rule_set",
                "salvage_value",
                "salvage_value_currency",
                "service",
                "source",
                "sourceID",
                "supplier",
                "support_team",
                "ui_extension",
                "updated_at",
                "useful_life",
                "workflow_manager",
                "workflow_template",
            ],
            Self::Projects => &[
                "attachments",
                "category",
                "completed_at",
                "completion_reason",
                "completion_target_at",
                "cost_of_effort",
                "cost_of_purchases",
                "created_at",
                "custom_fields",
                "customer",
                "effort",
                "id",
                "justification",
                "manager",
                "program",
                "resolution_duration",
                "risk_level",
                "roi",
                "service",
                "source",
                "sourceID",
                "status",
                "subject",
                "time_zone",
                "total_cost",
                "ui_extension",
                "updated_at",
                "value",
                "value_currency",
                "work_hours",
            ],
        }
    }

    /// What a collection gives when `fields` is not given.
    pub(super) fn default_fields(self) -> &'static [&'static str] {
        match self {
            Self::Organizations => &["sourceID", "name", "parent", "manager", "created_at", "updated_at"],
            Self::Products => &["sourceID", "name", "category", "support_team", "service", "created_at", "updated_at"],
            Self::Projects => &[
                "sourceID",
                "subject",
                "manager",
                "category",
                "status",
                "completion_target_at",
                "completed_at",
                "service",
                "created_at",
                "updated_at",
            ],
        }
    }

    /// The fields that are query parameters of their own.
    pub(super) fn filters(self) -> &'static [&'static str] {
        match self {
            Self::Organizations => {
                &["id", "source", "sourceID", "name", "disabled", "created_at", "updated_at", "financialID", "parent"]
            }
            Self::Products => &[
                "id",
                "source",
                "sourceID",
                "name",
                "disabled",
                "category",
                "rule_set",
                "support_team",
                "service",
                "created_at",
                "updated_at",
            ],
            Self::Projects => &[
                "id",
                "source",
                "sourceID",
                "subject",
                "category",
                "status",
                "completion_target_at",
                "completed_at",
                "service",
                "created_at",
                "updated_at",
            ],
        }
    }

    /// The fields that `sort` accepts.
    pub(super) fn sorts(self) -> &'static [&'static str] {
        match self {
            Self::Organizations => &["id", "sourceID", "name", "created_at", "updated_at"],
            Self::Products => &["id", "sourceID", "name", "support_team", "service", "created_at", "updated_at"],
            Self::Projects => &[
                "id",
                "sourceID",
                "subject",
                "category",
                "status",
                "completion_target_at",
                "completed_at",
                "service",
                "created_at",
                "updated_at",
            ],
        }
    }

    /// The order when `sort` is not given, in its notation.
    pub(super) fn default_sort(self) -> &'static str {
        match self {
            Self::Organizations | Self::Products => "name",
            Self::Projects => "-id",
        }
    }

    /// The collection of that name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.name() == name)
    }
}
