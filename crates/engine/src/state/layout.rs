//! What a reader has to know of stored rows to show them as Spark shows its own.

use serde::{Deserialize, Serialize};

/// What kind of rows a store holds; written into the header of every file.
///
/// Columns are counted among the stored ones. `finals`, `final_by` and `age`: rows whose time
/// there is at or before the file's `evicted` are gone; the time of a window is its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum StateLayout {
    /// Key columns, then buffers.
    #[serde(rename_all = "camelCase")]
    Groups {
        /// The key column by which groups become final.
        final_by: Option<usize>,
    },
    /// The number of a pane, key columns without the window, then buffers.
    #[serde(rename_all = "camelCase")]
    Windows {
        /// Microseconds.
        duration: i64,
        /// Microseconds.
        slide: i64,
        /// Microseconds.
        start: i64,
        /// Place of the window among the keys.
        position: usize,
        /// Its name.
        name: String,
        /// Whether windows become final.
        finals: bool,
    },
    /// Start and end of a session, key columns without it, then buffers.
    #[serde(rename_all = "camelCase")]
    Sessions {
        /// Place of the session among the keys.
        position: usize,
        /// Its name.
        name: String,
        /// Whether sessions become final.
        finals: bool,
    },
    /// Key columns, and perhaps when the key is forgotten.
    #[serde(rename_all = "camelCase")]
    Seen {
        /// The column with the time at which a key is forgotten.
        final_by: Option<usize>,
        /// Whether that is a column beside the key.
        expires: bool,
    },
    /// The rows a limit has let pass.
    Limit,
    /// The number of a row, perhaps whether it had a partner, its columns.
    #[serde(rename_all = "camelCase")]
    JoinSide {
        /// By key: its column among those of the row; `None` for other expressions.
        keys: Vec<Option<usize>>,
        /// The stored column by which rows age: those at or before the header's `aged` are gone.
        age: Option<usize>,
        /// Names of the row's columns.
        columns: Vec<String>,
        /// Whether the second column says if the row had a partner.
        marks: bool,
        /// Whether rows that had one are gone.
        removes: bool,
    },
}
