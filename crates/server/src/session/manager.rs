//! All sessions of the server: found by user and id, expiring when unused.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use millstream_engine::{
    Result, SparkError,
    time::{Clock, Millis},
};
use parking_lot::Mutex;
use uuid::Uuid;

use super::{
    Session, SessionKey,
    artifacts::Artifacts,
    conf::{BaseConf, Conf},
    views::Views,
};

/// A session nobody uses for this long is closed, as in Spark.
pub const SESSION_TIMEOUT: Duration = Duration::from_mins(60);
/// An operation nobody reads for this long is given up, as in Spark.
pub const DETACHED_TIMEOUT: Duration = Duration::from_mins(5);
/// How many closed sessions are remembered, so that they are not opened again by mistake.
const REMEMBERED: usize = 1000;

/// See the module.
#[derive(Debug)]
pub struct SessionManager {
    clock: Arc<dyn Clock>,
    base: BaseConf,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    live: BTreeMap<SessionKey, Arc<Session>>,
    closed: VecDeque<SessionKey>,
}

impl SessionManager {
    /// No sessions yet; new ones start with `base`.
    pub fn new(clock: Arc<dyn Clock>, base: BaseConf) -> Self {
        Self { clock, base, inner: Mutex::default() }
    }

    /// The clock of the server.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The session of `key`, made if there is none. `observed` is the server-side id the
    /// client has seen before, if any.
    ///
    /// # Errors
    /// `INVALID_HANDLE.FORMAT`, `.SESSION_CLOSED`, `.SESSION_CHANGED`.
    pub fn get_or_create(&self, key: SessionKey, observed: Option<&str>) -> Result<Arc<Session>> {
        let now = self.clock.now();
        let session = {
            let mut inner = self.inner.lock();
            match inner.live.get(&key) {
                Some(session) => Arc::clone(session),
                None => {
                    check_uuid(&key.session_id)?;
                    if inner.closed.contains(&key) {
                        return Err(invalid(&key, "SESSION_CLOSED"));
                    }
                    let conf = Conf::new(Arc::clone(&self.base));
                    let session =
                        Session::new(key.clone(), conf, Views::default(), Artifacts::default(), now);
                    let session = Arc::new(session);
                    tracing::info!("session {key} opened");
                    inner.live.insert(key, Arc::clone(&session));
                    session
                }
            }
        };
        self.use_session(session, observed, now)
    }

    /// The session of `key`, which must exist.
    ///
    /// # Errors
    /// `INVALID_HANDLE.SESSION_NOT_FOUND`, `.SESSION_CLOSED`, `.SESSION_CHANGED`.
    pub fn get(&self, key: &SessionKey, observed: Option<&str>) -> Result<Arc<Session>> {
        let session = {
            let inner = self.inner.lock();
            match inner.live.get(key) {
                Some(session) => Arc::clone(session),
                None if inner.closed.contains(key) => return Err(invalid(key, "SESSION_CLOSED")),
                None => return Err(invalid(key, "SESSION_NOT_FOUND")),
            }
        };
        self.use_session(session, observed, self.clock.now())
    }

    /// The session of `key` if it exists; counts as use.
    pub fn find(&self, key: &SessionKey) -> Option<Arc<Session>> {
        let session = self.inner.lock().live.get(key).cloned()?;
        session.touch(self.clock.now());
        Some(session)
    }

    /// A new session with the settings, views and artifacts of `key`'s.
    ///
    /// # Errors
    /// As [`Self::get`]; `INVALID_CLONE_SESSION_REQUEST.*` when the new id does not do.
    pub fn clone_session(
        &self,
        key: &SessionKey,
        observed: Option<&str>,
        new_id: Option<&str>,
    ) -> Result<(Arc<Session>, Arc<Session>)> {
        let source = self.get(key, observed)?;
        let new_id = new_id.map_or_else(|| Uuid::new_v4().to_string(), str::to_string);
        let refuse = |sub: &str| {
            SparkError::new(&format!("INVALID_CLONE_SESSION_REQUEST.{sub}"))
                .with("targetSessionId", new_id.clone())
        };
        check_uuid(&new_id).map_err(|_| refuse("TARGET_SESSION_ID_FORMAT"))?;
        let new_key = SessionKey { user: key.user.clone(), session_id: new_id.clone() };
        let mut inner = self.inner.lock();
        if inner.closed.contains(&new_key) {
            return Err(refuse("TARGET_SESSION_ID_ALREADY_CLOSED"));
        }
        if inner.live.contains_key(&new_key) {
            return Err(refuse("TARGET_SESSION_ID_ALREADY_EXISTS"));
        }
        let conf = source.conf.read().clone();
        let views = source.views.read().clone();
        let clone = Session::new(new_key.clone(), conf, views, source.artifacts.fork(), self.clock.now());
        let clone = Arc::new(clone);
        inner.live.insert(new_key, Arc::clone(&clone));
        Ok((source, clone))
    }

    /// Closes a session: its operations are cancelled. The caller stops its queries.
    pub fn remove(&self, key: &SessionKey, allow_reconnect: bool) -> Option<Arc<Session>> {
        let session = {
            let mut inner = self.inner.lock();
            let session = inner.live.remove(key)?;
            if !allow_reconnect {
                inner.closed.push_back(key.clone());
                if inner.closed.len() > REMEMBERED {
                    inner.closed.pop_front();
                }
            }
            session
        };
        session.operations.clear();
        Some(session)
    }

    /// Keys of sessions that have been unused for [`SESSION_TIMEOUT`].
    pub fn expired(&self) -> Vec<SessionKey> {
        let before = self.before(SESSION_TIMEOUT);
        let expired = |s: &Arc<Session>| s.idle_since().is_some_and(|since| since <= before);
        self.all().into_iter().filter(expired).map(|s| s.key.clone()).collect()
    }

    /// Gives up operations that nobody has read for [`DETACHED_TIMEOUT`].
    pub fn abandon_operations(&self) {
        let before = self.before(DETACHED_TIMEOUT);
        for session in self.all() {
            for operation in session.operations.abandon(before) {
                tracing::info!(session = %session.key, operation = %operation.id, "operation abandoned");
            }
        }
    }

    /// All live sessions.
    pub fn all(&self) -> Vec<Arc<Session>> {
        self.inner.lock().live.values().cloned().collect()
    }

    fn before(&self, timeout: Duration) -> Millis {
        Millis(self.clock.now().0 - i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX))
    }

    fn use_session(
        &self,
        session: Arc<Session>,
        observed: Option<&str>,
        now: Millis,
    ) -> Result<Arc<Session>> {
        session.touch(now);
        match observed {
            Some(id) if id != session.server_side_id => Err(invalid(&session.key, "SESSION_CHANGED")),
            _ => Ok(session),
        }
    }
}

/// Refuses what is no UUID.
///
/// # Errors
/// `INVALID_HANDLE.FORMAT`.
pub fn check_uuid(handle: &str) -> Result<()> {
    match Uuid::try_parse(handle) {
        Ok(_) if handle.len() == 36 => Ok(()),
        _ => Err(SparkError::new("INVALID_HANDLE.FORMAT").with("handle", handle)),
    }
}

fn invalid(key: &SessionKey, sub: &str) -> SparkError {
    SparkError::new(&format!("INVALID_HANDLE.{sub}")).with("handle", key.session_id.clone())
}

#[cfg(test)]
mod tests;
