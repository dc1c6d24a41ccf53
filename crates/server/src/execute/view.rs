//! `createOrReplaceTempView` and its kin.

use millstream_engine::{Result, SparkError};
use spark_connect_proto::{CreateDataFrameViewCommand, Relation};

use super::{relation, resolve};
use crate::{server::Server, session::Session};

/// Creates a temporary view.
///
/// # Errors
/// Spark's errors of analysis; the view exists and must not be replaced.
pub async fn create_view(
    server: &Server,
    session: &Session,
    command: &CreateDataFrameViewCommand,
) -> Result<()> {
    let input = command.input.clone().ok_or_else(|| SparkError::internal("a view without a plan"))?;
    create(server, session, &command.name, input, command.is_global, command.replace).await
}

/// Creates a temporary view of `relation` called `name`.
///
/// # Errors
/// As [`create_view`].
pub async fn create(
    server: &Server,
    session: &Session,
    name: &str,
    input: Relation,
    global: bool,
    replace: bool,
) -> Result<()> {
    // A view that cannot be analysed is refused when it is made.
    relation::translated(server, session, &input).await?;
    let table = resolve::bind(server, session, input).await?;
    let views = if global { &server.global_views } else { &session.views };
    views.write().create(name, table, replace)
}
