//! `Config`: `spark.conf` over the wire.

use millstream_engine::{Result, SparkError};
use parking_lot::RwLock;
use spark_connect_proto::{
    KeyValue,
    config_request::{Operation, operation::OpType},
};

use crate::session::conf::Conf;

/// What a `Config` call answers.
#[derive(Debug, Default)]
pub struct ConfigAnswer {
    /// One pair for each key asked.
    pub pairs: Vec<KeyValue>,
    /// For the client to show.
    pub warnings: Vec<String>,
}

/// Settings that Spark knows but Connect does not support.
const NOT_IN_CONNECT: &[&str] =
    &["spark.sql.execution.arrow.enabled", "spark.sql.execution.arrow.pyspark.fallback.enabled"];

/// Does one operation on a session's settings.
///
/// # Errors
/// As [`Conf`]'s methods; a `silent` set turns errors into warnings.
pub fn config(conf: &RwLock<Conf>, operation: Option<Operation>) -> Result<ConfigAnswer> {
    let mut answer = ConfigAnswer::default();
    let Some(operation) = operation.and_then(|o| o.op_type) else {
        return Err(SparkError::unsupported("a Config request without an operation"));
    };
    match operation {
        OpType::Set(set) => {
            let silent = set.silent();
            let mut conf = conf.write();
            for KeyValue { key, value } in set.pairs {
                let value = value.unwrap_or_default();
                match conf.set(&key, &value) {
                    Ok(()) => answer.warn(&key),
                    Err(error) if silent => {
                        answer.warnings.push(format!("Failed to set {key} to Some({value}) due to {error}"));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        OpType::Get(get) => {
            let conf = conf.read();
            for key in get.keys {
                let value = conf.get(&key)?;
                answer.pair(key, value);
            }
        }
        OpType::GetWithDefault(get) => {
            let conf = conf.read();
            for KeyValue { key, value } in get.pairs {
                let value = conf.get_or(&key, value.as_deref());
                answer.pair(key, value);
            }
        }
        OpType::GetOption(get) => {
            let conf = conf.read();
            for key in get.keys {
                let value = conf.value(&key);
                answer.pair(key, value);
            }
        }
        OpType::GetAll(get) => {
            let prefix = get.prefix.unwrap_or_default();
            for (key, value) in conf.read().all() {
                if let Some(rest) = key.strip_prefix(&prefix) {
                    answer.pair(rest.to_string(), Some(value));
                }
            }
        }
        OpType::Unset(unset) => {
            let mut conf = conf.write();
            for key in unset.keys {
                conf.unset(&key)?;
                answer.warn(&key);
            }
        }
        OpType::IsModifiable(asked) => {
            let conf = conf.read();
            for key in asked.keys {
                let modifiable = conf.is_modifiable(&key);
                answer.pair(key, Some(modifiable.to_string()));
            }
        }
    }
    Ok(answer)
}

impl ConfigAnswer {
    fn pair(&mut self, key: String, value: Option<String>) {
        self.warn(&key);
        self.pairs.push(KeyValue { key, value });
    }

    fn warn(&mut self, key: &str) {
        if NOT_IN_CONNECT.contains(&key) {
            self.warnings.push(format!("The SQL config '{key}' is NOT supported in Spark Connect"));
        }
    }
}
