//! A clock that stands still until a test moves it.

use std::{fmt, time::Duration};

use futures::future::BoxFuture;
use millstream_engine::time::{Clock, Millis};
use tokio::sync::watch;

/// Time owned by a test; sleepers wake when it is moved past their end.
pub struct FakeClock {
    now: watch::Sender<i64>,
}

impl fmt::Debug for FakeClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FakeClock({})", *self.now.borrow())
    }
}

impl FakeClock {
    pub fn at(ms: i64) -> Self {
        Self { now: watch::Sender::new(ms) }
    }

    pub fn advance(&self, ms: i64) {
        self.now.send_modify(|now| *now += ms);
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
        Box::pin(async move {
            if now.wait_for(|now| *now >= end).await.is_err() {
                // The clock is gone: its time never comes.
                futures::future::pending::<()>().await;
            }
        })
    }
}
