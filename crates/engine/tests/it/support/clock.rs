//! A clock that stands still until a test moves it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use millstream_engine::time::{Clock, Millis};
use tokio::sync::watch;

/// Time owned by a test; sleepers wake when it is moved past their end.
pub struct FakeClock {
    now: watch::Sender<i64>,
    sleepers: Arc<AtomicUsize>,
}

/// Counts as a sleeper while it lives.
struct Sleeper(Arc<AtomicUsize>);

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl fmt::Debug for FakeClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FakeClock({})", *self.now.borrow())
    }
}

impl FakeClock {
    pub fn at(ms: i64) -> Self {
        Self { now: watch::Sender::new(ms), sleepers: Arc::default() }
    }

    pub fn advance(&self, ms: i64) {
        self.now.send_modify(|now| *now += ms);
    }

    /// How many sleep now: only they are woken by the next [`advance`](Self::advance), since a sleep that begins
    /// afterwards counts from the moved time.
    pub fn sleepers(&self) -> usize {
        self.sleepers.load(Ordering::SeqCst)
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Millis {
        Millis(*self.now.borrow())
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(u64::try_from(*self.now.borrow()).unwrap_or_default())
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let end = *self.now.borrow() + i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2);
        let mut now = self.now.subscribe();
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let sleeper = Sleeper(self.sleepers.clone());
        Box::pin(async move {
            let _sleeper = sleeper;
            if now.wait_for(|now| *now >= end).await.is_err() {
                // The clock is gone: its time never comes.
                futures::future::pending::<()>().await;
            }
        })
    }
}
