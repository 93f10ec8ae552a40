//! Futures that are dropped before they are ready.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::pin::pin;
use std::task::Poll;

/// Polls the future up to `times` times, as it is woken, and drops it; what it gave if it was ready by then.
pub(crate) async fn poll_up_to<T>(times: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut polls = 0;
    std::future::poll_fn(|cx| {
        if polls == times {
            return Poll::Ready(None);
        }
        polls += 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if polls == times => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Makes the future and drops it after no poll, after one, after two, and so on, until one of them is ready in time.
///
/// Between two attempts others have their turn, so that what is dropped is dropped in all states that it may meet.
pub(crate) async fn drop_at_each_await<T, F: Future<Output = T>>(mut make: impl FnMut() -> F) -> T {
    let mut times = 0;
    loop {
        if let Some(value) = poll_up_to(times, make()).await {
            return value;
        }
        times += 1;
        tokio::task::yield_now().await;
    }
}
