use std::sync::atomic::{AtomicI64, Ordering};

use futures::future::BoxFuture;

use super::*;

#[derive(Debug, Default)]
struct Hand {
    now: AtomicI64,
}

impl Clock for Hand {
    fn now(&self) -> Millis {
        Millis(self.now.load(Ordering::Relaxed))
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

const ID: &str = "00112233-4455-6677-8899-aabbccddeeff";

fn key(user: &str) -> SessionKey {
    SessionKey { user: user.to_string(), session_id: ID.to_string() }
}

fn manager() -> (SessionManager, Arc<Hand>) {
    let clock = Arc::new(Hand::default());
    (SessionManager::new(Arc::clone(&clock) as Arc<dyn Clock>, BaseConf::default()), clock)
}

#[test]
fn sessions_are_isolated_by_user_and_id() {
    let (sessions, _) = manager();
    let a = sessions.get_or_create(key("a"), None).unwrap();
    let b = sessions.get_or_create(key("b"), None).unwrap();
    a.conf.write().set("spark.my", "1").unwrap();
    assert_eq!(b.conf.read().value("spark.my"), None);
    assert!(Arc::ptr_eq(&a, &sessions.get_or_create(key("a"), Some(&a.server_side_id)).unwrap()));
    assert_eq!(
        sessions.get_or_create(key("a"), Some("x")).unwrap_err().class(),
        "INVALID_HANDLE.SESSION_CHANGED"
    );
    let bad = SessionKey { user: String::new(), session_id: "nonsense".to_string() };
    assert_eq!(sessions.get_or_create(bad.clone(), None).unwrap_err().class(), "INVALID_HANDLE.FORMAT");
    assert_eq!(sessions.get(&bad, None).unwrap_err().class(), "INVALID_HANDLE.SESSION_NOT_FOUND");
}

#[test]
fn a_released_session_stays_closed() {
    let (sessions, _) = manager();
    sessions.get_or_create(key("a"), None).unwrap();
    assert!(sessions.remove(&key("a"), false).is_some());
    assert_eq!(sessions.get_or_create(key("a"), None).unwrap_err().class(), "INVALID_HANDLE.SESSION_CLOSED");
    assert!(sessions.remove(&key("a"), false).is_none());
    sessions.get_or_create(key("b"), None).unwrap();
    sessions.remove(&key("b"), true);
    assert!(sessions.get_or_create(key("b"), None).is_ok());
}

#[test]
fn unused_sessions_expire_but_not_under_an_open_stream() {
    let (sessions, clock) = manager();
    let session = sessions.get_or_create(key("a"), None).unwrap();
    clock.now.store(60 * 60_000 - 1, Ordering::Relaxed);
    assert!(sessions.expired().is_empty());
    clock.now.store(60 * 60_000, Ordering::Relaxed);
    assert_eq!(sessions.expired(), vec![key("a")]);
    session.stream_opened();
    assert!(sessions.expired().is_empty());
    session.stream_closed(clock.now());
    assert!(sessions.expired().is_empty());
}

#[test]
fn a_clone_starts_with_a_copy() {
    let (sessions, _) = manager();
    let source = sessions.get_or_create(key("a"), None).unwrap();
    source.conf.write().set("spark.my", "1").unwrap();
    let (_, clone) = sessions.clone_session(&key("a"), None, None).unwrap();
    source.conf.write().set("spark.my", "2").unwrap();
    assert_eq!(clone.conf.read().value("spark.my").as_deref(), Some("1"));
    let error = sessions.clone_session(&key("a"), None, Some(ID)).unwrap_err();
    assert_eq!(error.class(), "INVALID_CLONE_SESSION_REQUEST.TARGET_SESSION_ID_ALREADY_EXISTS");
    let error = sessions.clone_session(&key("a"), None, Some("x")).unwrap_err();
    assert_eq!(error.class(), "INVALID_CLONE_SESSION_REQUEST.TARGET_SESSION_ID_FORMAT");
}
