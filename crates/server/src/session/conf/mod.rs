//! `spark.conf` of a session: what was set, over what the server was started with, over
//! Spark's defaults.

mod defaults;
mod value_type;

use std::{collections::BTreeMap, sync::Arc};

use millstream_engine::{Result, SparkError, time::Zone};
use millstream_spark::SessionConf;

pub use defaults::{Entry, Kind};

/// Settings every session starts with: `--conf` of the command line and facts of the server.
pub type BaseConf = Arc<BTreeMap<String, String>>;

/// The settings of one session.
///
/// Keys nobody knows may be set and read back, as in Spark.
#[derive(Debug, Clone)]
pub struct Conf {
    base: BaseConf,
    own: BTreeMap<String, String>,
}

impl Conf {
    /// A session's settings before it sets any.
    pub fn new(base: BaseConf) -> Self {
        Self { base, own: BTreeMap::new() }
    }

    /// `spark.conf.get(key)`: `None` for a known setting without a value.
    ///
    /// # Errors
    /// `SQL_CONF_NOT_FOUND` for an unknown key that is not set.
    pub fn get(&self, key: &str) -> Result<Option<String>> {
        if let Some(value) = self.explicit(key) {
            return Ok(Some(value.to_string()));
        }
        match defaults::find(key) {
            Some(entry) if entry.kind != Kind::Core => Ok(self.default_of(entry)),
            _ => Err(SparkError::new("SQL_CONF_NOT_FOUND").with("sqlConf", format!("\"{key}\""))),
        }
    }

    /// `spark.conf.get(key, default)`.
    pub fn get_or(&self, key: &str, default: Option<&str>) -> Option<String> {
        self.explicit(key).or(default).map(str::to_string)
    }

    /// The value of `key`, `None` when it is unknown or has none.
    pub fn value(&self, key: &str) -> Option<String> {
        self.get(key).ok().flatten()
    }

    /// The value of a boolean setting; `false` when it is no boolean.
    pub fn is_true(&self, key: &str) -> bool {
        self.value(key).is_some_and(|v| v.trim().eq_ignore_ascii_case("true"))
    }

    /// The value of an integer setting, if it has one.
    pub fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.value(key)?.trim().parse().ok()
    }

    /// `spark.conf.set(key, value)`.
    ///
    /// # Errors
    /// Static and core settings cannot be set; known settings refuse values of another type.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        self.require_modifiable(key)?;
        if let Some(entry) = defaults::find(key) {
            value_type::check(entry, value)?;
        }
        self.own.insert(key.to_string(), value.to_string());
        Ok(())
    }

    /// `spark.conf.unset(key)`: back to what the server was started with, or the default.
    ///
    /// # Errors
    /// Static and core settings cannot be unset.
    pub fn unset(&mut self, key: &str) -> Result<()> {
        self.require_modifiable(key)?;
        self.own.remove(key);
        Ok(())
    }

    /// `RESET`: forgets everything the session has set.
    pub fn reset(&mut self) {
        self.own.clear();
    }

    /// Whether `spark.conf.set(key, ..)` can have an effect.
    pub fn is_modifiable(&self, key: &str) -> bool {
        defaults::find(key).is_some_and(|entry| entry.kind == Kind::Runtime)
    }

    /// Everything that was set explicitly, sorted by key.
    pub fn all(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::clone(&self.base);
        all.extend(self.own.clone());
        all
    }

    /// The settings that translation bakes into plans.
    pub fn translation(&self) -> SessionConf {
        let zone = self.value("spark.sql.session.timeZone").unwrap_or_else(|| "UTC".to_string());
        let mut conf = SessionConf::new(&zone);
        conf.ansi = self.is_true("spark.sql.ansi.enabled");
        conf.case_sensitive = self.is_true("spark.sql.caseSensitive");
        if let Some(partitions) = self.number("spark.sql.shuffle.partitions") {
            conf.shuffle_partitions = partitions;
        }
        conf.random_seed = uuid::Uuid::new_v4().as_u64_pair().0.cast_signed();
        conf
    }

    /// `spark.sql.session.timeZone`.
    pub fn zone(&self) -> Zone {
        self.value("spark.sql.session.timeZone").and_then(|id| Zone::parse(&id)).unwrap_or(Zone::UTC)
    }

    fn explicit(&self, key: &str) -> Option<&str> {
        self.own.get(key).or_else(|| self.base.get(key)).map(String::as_str)
    }

    fn default_of(&self, entry: &Entry) -> Option<String> {
        match entry.fallback() {
            Some(other) => self.value(other),
            None if entry.key == "spark.sql.session.timeZone" => Some(system_time_zone()),
            None => entry.default(),
        }
    }

    fn require_modifiable(&self, key: &str) -> Result<()> {
        let class = match defaults::find(key).map(|entry| entry.kind) {
            Some(Kind::Static) => "CANNOT_MODIFY_STATIC_CONFIG",
            Some(Kind::Core) => "CANNOT_MODIFY_CONFIG",
            Some(Kind::Runtime) | None => return Ok(()),
        };
        Err(SparkError::new(class)
            .with("key", format!("\"{key}\""))
            .with("docroot", "https://spark.apache.org/docs/latest"))
    }
}

/// The machine's time zone, as the JVM would name it.
fn system_time_zone() -> String {
    std::env::var("TZ")
        .ok()
        .filter(|zone| !zone.is_empty())
        .or_else(|| iana_time_zone::get_timezone().ok())
        .unwrap_or_else(|| "UTC".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conf() -> Conf {
        Conf::new(Arc::new(BTreeMap::from([("spark.app.name".to_string(), "millstream".to_string())])))
    }

    #[test]
    fn defaults_are_sparks() {
        let conf = conf();
        assert_eq!(conf.get("spark.sql.ansi.enabled").unwrap().as_deref(), Some("true"));
        assert_eq!(conf.get("spark.sql.shuffle.partitions").unwrap().as_deref(), Some("200"));
        assert_eq!(conf.get("spark.sql.streaming.checkpointLocation").unwrap(), None);
        assert_eq!(
            conf.get("spark.connect.session.planCompression.threshold").unwrap().as_deref(),
            Some("10485760")
        );
        let error = conf.get("spark.sql.nosuch").unwrap_err();
        assert_eq!(error.class(), "SQL_CONF_NOT_FOUND");
        assert_eq!(error.params()["sqlConf"], "\"spark.sql.nosuch\"");
    }

    #[test]
    fn a_setting_is_checked_kept_and_unset() {
        let mut conf = conf();
        conf.set("spark.sql.ansi.enabled", "false").unwrap();
        assert!(!conf.translation().ansi);
        assert_eq!(conf.all()["spark.sql.ansi.enabled"], "false");
        conf.unset("spark.sql.ansi.enabled").unwrap();
        assert!(conf.translation().ansi);
        conf.set("spark.my.own", "x").unwrap();
        assert_eq!(conf.get("spark.my.own").unwrap().as_deref(), Some("x"));
        assert!(!conf.is_modifiable("spark.my.own"));
        assert!(conf.is_modifiable("spark.sql.ansi.enabled"));
    }

    #[test]
    fn static_and_core_settings_cannot_be_set() {
        let mut conf = conf();
        let class = |r: Result<()>| r.unwrap_err().class();
        assert_eq!(class(conf.set("spark.sql.warehouse.dir", "x")), "CANNOT_MODIFY_STATIC_CONFIG");
        assert_eq!(class(conf.set("spark.executor.memory", "1g")), "CANNOT_MODIFY_CONFIG");
        assert!(!conf.is_modifiable("spark.sql.warehouse.dir"));
    }
}
