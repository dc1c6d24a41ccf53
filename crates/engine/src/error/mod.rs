//! The one error type of the engine and of translation: a Spark error condition.
//!
//! Everything a user can see go wrong is named by Spark's error class, carries its
//! message parameters, and renders as Spark renders it:
//! `[CLASS] text SQLSTATE: 12345`. The table of classes is in [`conditions`].

pub mod conditions;

use std::{collections::BTreeMap, error::Error, fmt, sync::Arc};

use datafusion::error::DataFusionError;

pub use conditions::{Condition, ExceptionKind};

/// Result whose error is a [`SparkError`].
pub type Result<T, E = SparkError> = std::result::Result<T, E>;

/// A Spark error condition with its parameters and, where there is one, its cause.
///
/// # Invariants
/// The class is one of [`conditions::CONDITIONS`]: an unknown class renders as an
/// internal error that names it, and a test renders every class of the table.
#[derive(Debug, Clone)]
pub struct SparkError {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    condition: &'static Condition,
    params: BTreeMap<String, String>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
    place: Option<Place>,
}

/// Where in a text an error is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The text; empty while it is not known.
    pub text: String,
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 0.
    pub position: usize,
}

impl fmt::Display for Place {
    /// As Spark's parser: the place, then the text with a mark below the line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, " (line {}, pos {})\n\n== SQL ==", self.line, self.position)?;
        let lines: Vec<&str> = self.text.split('\n').collect();
        let (above, below) = lines.split_at(self.line.min(lines.len()));
        above.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        writeln!(f, "{}^^^", "-".repeat(self.position))?;
        below.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl SparkError {
    /// An error of `class` (for example `PATH_NOT_FOUND`) without parameters yet.
    ///
    /// A class that is not in the table becomes `INTERNAL_ERROR` naming it.
    pub fn new(class: &str) -> Self {
        let (condition, params) = match conditions::find(class) {
            Some(condition) => (condition, BTreeMap::new()),
            None => (
                conditions::internal(),
                BTreeMap::from([("message".to_string(), format!("unknown error class {class}"))]),
            ),
        };
        Self { inner: Arc::new(Inner { condition, params, cause: None, place: None }) }
    }

    /// A defect of ours: class `INTERNAL_ERROR` with a free text.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new("INTERNAL_ERROR").with("message", message)
    }

    /// Something Spark has and this build does not: class `UNSUPPORTED_FEATURE.MILLSTREAM`.
    ///
    /// `feature` names it in the user's words, for example ``the function `hash` ``.
    pub fn unsupported(feature: impl Into<String>) -> Self {
        Self::new("UNSUPPORTED_FEATURE.MILLSTREAM").with("feature", feature)
    }

    /// The same error with message parameter `name` set.
    #[must_use]
    pub fn with(self, name: &str, value: impl Into<String>) -> Self {
        let mut inner = self.into_inner();
        inner.params.insert(name.to_string(), value.into());
        Self { inner: Arc::new(inner) }
    }

    /// The same error with `cause` attached; it is shown after the message.
    #[must_use]
    pub fn caused_by(self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let mut inner = self.into_inner();
        inner.cause = Some(cause.into().into());
        Self { inner: Arc::new(inner) }
    }

    /// The same error at a place of a SQL text, which its message shows.
    #[must_use]
    pub fn at(self, place: Place) -> Self {
        let mut inner = self.into_inner();
        inner.place = Some(place);
        Self { inner: Arc::new(inner) }
    }

    /// Where the error is, if it is in a text.
    pub fn place(&self) -> Option<&Place> {
        self.inner.place.as_ref()
    }

    /// The full class name, `MAIN` or `MAIN.SUB`.
    pub fn class(&self) -> &'static str {
        self.inner.condition.class
    }

    /// The five-character SQLSTATE.
    pub fn sql_state(&self) -> &'static str {
        self.inner.condition.sql_state
    }

    /// Which of Spark's exception types a client should raise.
    pub fn kind(&self) -> ExceptionKind {
        self.inner.condition.kind
    }

    /// Message parameters by name, sorted.
    pub fn params(&self) -> &BTreeMap<String, String> {
        &self.inner.params
    }

    /// The attached cause, if any.
    pub fn cause(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.inner.cause.as_deref()
    }

    fn into_inner(self) -> Inner {
        Arc::try_unwrap(self.inner).unwrap_or_else(|shared| Inner {
            condition: shared.condition,
            params: shared.params.clone(),
            cause: shared.cause.clone(),
            place: shared.place.clone(),
        })
    }
}

impl fmt::Display for SparkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { condition, params, place, .. } = &*self.inner;
        // Conditions that never got a name: Spark shows their text alone.
        if condition.class.starts_with("_LEGACY_ERROR_") {
            return f.write_str(&condition.render(params));
        }
        let text = condition.render(params);
        match place {
            None => write!(f, "[{}] {text} SQLSTATE: {}", condition.class, condition.sql_state),
            Some(place) => {
                write!(f, "\n[{}] {text} SQLSTATE: {}{place}", condition.class, condition.sql_state)
            }
        }
    }
}

impl Error for SparkError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.inner.cause.as_deref().map(|c| c as &(dyn Error + 'static))
    }
}

impl From<SparkError> for DataFusionError {
    fn from(error: SparkError) -> Self {
        DataFusionError::External(Box::new(error))
    }
}

/// Finds the Spark error a DataFusion error wraps; anything else is an internal
/// error that keeps DataFusion's text.
impl From<DataFusionError> for SparkError {
    fn from(error: DataFusionError) -> Self {
        let mut current: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(e) = current {
            if let Some(spark) = e.downcast_ref::<SparkError>() {
                return spark.clone();
            }
            current = match e.downcast_ref::<DataFusionError>() {
                // `source()` skips a level for these wrappers, so look inside first.
                Some(DataFusionError::External(inner)) => Some(inner.as_ref() as &(dyn Error + 'static)),
                Some(DataFusionError::Shared(inner)) => Some(inner.as_ref() as &(dyn Error + 'static)),
                Some(DataFusionError::Context(_, inner)) => Some(inner.as_ref() as &(dyn Error + 'static)),
                Some(DataFusionError::ArrowError(inner, _)) => Some(inner.as_ref() as &(dyn Error + 'static)),
                _ => e.source(),
            };
        }
        SparkError::internal(error.strip_backtrace())
    }
}

impl From<datafusion::arrow::error::ArrowError> for SparkError {
    fn from(error: datafusion::arrow::error::ArrowError) -> Self {
        DataFusionError::from(error).into()
    }
}
