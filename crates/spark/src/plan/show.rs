//! `show()` and its HTML form: a plan whose rows are wanted as one rendered text.

use spark_connect_proto::{self as proto, relation::RelType};

/// What `show_string` or `html_string` asks for. The rows come from `input`; Spark shows
/// `num_rows` of them and says so when there is one more.
#[derive(Debug, Clone)]
pub struct ShowRequest {
    /// The plan to show, limited to `num_rows + 1` rows.
    pub input: proto::Relation,
    /// Rows to show.
    pub num_rows: usize,
    /// Cells longer than this are cut; 0 for never.
    pub truncate: usize,
    /// One line a cell.
    pub vertical: bool,
    /// An HTML table instead of text.
    pub html: bool,
}

/// The request, where `relation` is one.
pub fn show_request(relation: &proto::Relation) -> Option<ShowRequest> {
    let (input, num_rows, truncate, vertical, html) = match &relation.rel_type {
        Some(RelType::ShowString(s)) => (s.input.as_deref()?, s.num_rows, s.truncate, s.vertical, false),
        Some(RelType::HtmlString(s)) => (s.input.as_deref()?, s.num_rows, s.truncate, false, true),
        _ => return None,
    };
    let num_rows = num_rows.clamp(0, i32::MAX - 1);
    let limit = proto::Limit { input: Some(Box::new(input.clone())), limit: num_rows + 1 };
    Some(ShowRequest {
        input: proto::Relation { common: None, rel_type: Some(RelType::Limit(Box::new(limit))) },
        num_rows: usize::try_from(num_rows).unwrap_or_default(),
        truncate: usize::try_from(truncate).unwrap_or_default(),
        vertical,
        html,
    })
}
