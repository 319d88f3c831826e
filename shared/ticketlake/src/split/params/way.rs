//! The ways to split a query by its parameters.

/// A way to split a query by one parameter.
pub(super) enum SplitWay {
    /// By the values of the parameter number `param`: one query for each of `groups`. `rest` are the values that exclude all of these, if
    /// the parameter can exclude values.
    Values { param: usize, groups: Vec<Vec<String>>, rest: Option<Vec<String>> },
    /// By circles on the map, with the parameter number `param`.
    Cells { param: usize },
}

impl SplitWay {
    /// Returns the number of the parameter.
    pub(super) fn param(&self) -> usize {
        match self {
            Self::Values { param, .. } | Self::Cells { param } => *param,
        }
    }

    /// Returns the number of queries. `None` for circles, whose number is not known before they are read.
    pub(super) fn queries(&self) -> Option<usize> {
        match self {
            Self::Values { groups, .. } => Some(groups.len()),
            Self::Cells { .. } => None,
        }
    }
}
