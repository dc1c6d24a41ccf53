//! Names to functions.

use std::{collections::HashMap, sync::LazyLock};

use millstream_engine::SparkError;

use super::{
    Function, aggregate, array, cast, collection, conditional, date_fields, date_time, digits, format_number,
    format_string, grouping, hash, json, levenshtein, make_time, map, math, misc, missing::MISSING,
    nondeterministic, operator, regex, rounding, string, substring, text_encoding, time_window,
    timestamp_units,
};

/// The families, in no particular order; a name belongs to one.
const FAMILIES: &[&[Function]] = &[
    operator::FUNCTIONS,
    math::FUNCTIONS,
    rounding::FUNCTIONS,
    digits::FUNCTIONS,
    conditional::FUNCTIONS,
    aggregate::FUNCTIONS,
    time_window::FUNCTIONS,
    string::FUNCTIONS,
    substring::FUNCTIONS,
    text_encoding::FUNCTIONS,
    format_number::FUNCTIONS,
    levenshtein::FUNCTIONS,
    regex::FUNCTIONS,
    date_fields::FUNCTIONS,
    date_time::FUNCTIONS,
    timestamp_units::FUNCTIONS,
    make_time::FUNCTIONS,
    hash::FUNCTIONS,
    collection::FUNCTIONS,
    map::FUNCTIONS,
    array::FUNCTIONS,
    json::FUNCTIONS,
    format_string::FUNCTIONS,
    misc::FUNCTIONS,
    cast::FUNCTIONS,
    grouping::FUNCTIONS,
    nondeterministic::FUNCTIONS,
];

static BY_NAME: LazyLock<HashMap<&'static str, &'static Function>> = LazyLock::new(|| {
    let all = FAMILIES.iter().flat_map(|family| family.iter());
    all.flat_map(|function| function.names.iter().map(move |name| (*name, function))).collect()
});

/// The function called `name` (lower case).
pub(super) fn find(name: &str) -> Option<&'static Function> {
    BY_NAME.get(name).copied()
}

/// The error for a name that is no function of ours.
pub(super) fn unknown(name: &str) -> SparkError {
    if MISSING.binary_search(&name).is_ok() {
        return SparkError::unsupported(format!("the function `{name}`"));
    }
    SparkError::new("UNRESOLVED_ROUTINE")
        .with("routineName", format!("`{name}`"))
        .with("searchPath", "[`system`.`builtin`, `system`.`session`, `spark_catalog`.`default`]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_lower_case_and_belongs_to_one_function() {
        let total: usize = FAMILIES.iter().flat_map(|family| family.iter()).map(|f| f.names.len()).sum();
        assert_eq!(total, BY_NAME.len(), "a name is registered twice");
        for name in BY_NAME.keys() {
            assert_eq!(name.to_ascii_lowercase(), *name);
            assert!(MISSING.binary_search(name).is_err(), "{name} is not missing");
        }
    }

    #[test]
    fn missing_names_are_sorted() {
        assert!(MISSING.is_sorted());
    }
}
