//! The session settings that translation bakes into plans.

use chrono_tz::Tz;

/// The setting that decides about errors of data, as messages name it.
pub(crate) const ANSI_CONFIG: &str = "\"spark.sql.ansi.enabled\"";

/// Settings of a session that change what a plan means.
#[derive(Debug, Clone)]
pub struct SessionConf {
    /// `spark.sql.session.timeZone` as given.
    pub time_zone_id: String,
    /// The same, parsed; offsets like `+02:00` are not regions and are kept by id only.
    pub time_zone: Tz,
    /// `spark.sql.ansi.enabled`.
    pub ansi: bool,
    /// `spark.sql.caseSensitive`.
    pub case_sensitive: bool,
    /// `spark.sql.shuffle.partitions`.
    pub shuffle_partitions: usize,
    /// Where random functions without a seed start; the session draws another for each plan.
    pub random_seed: i64,
}

impl SessionConf {
    /// Spark's defaults with the given time zone, `UTC` where it does not parse.
    pub fn new(time_zone_id: &str) -> Self {
        Self {
            time_zone_id: time_zone_id.to_string(),
            time_zone: time_zone_id.parse().unwrap_or(Tz::UTC),
            ansi: true,
            case_sensitive: false,
            shuffle_partitions: 200,
            random_seed: 0,
        }
    }
}
