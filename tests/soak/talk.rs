//! One channel, with what is sent and received at both ends.

use crate::oracle::{Promise, Received, Sent};
use straits::DataChannel;
use tokio::task::JoinHandle;

pub(crate) struct Talk {
    pub(crate) ends: [DataChannel; 2],
    /// By the end that sends.
    pub(crate) sent: [Sent; 2],
    /// By the end that receives.
    readers: [JoinHandle<Received>; 2],
}

impl Talk {
    pub(crate) fn begin(ends: [DataChannel; 2]) -> Self {
        let promise = Promise::of(&ends[0]);
        assert_eq!(promise, Promise::of(&ends[1]), "both ends know what the channel promises");
        let readers = [0, 1].map(|end: usize| {
            let channel = ends[end].clone();
            let mut received = Received::new(format!("{} at end {end}", channel.label()), promise);
            tokio::spawn(async move {
                while let Some(message) = channel.recv().await {
                    received.take(&message);
                }
                received
            })
        });
        Self { ends, sent: Default::default(), readers }
    }

    /// Waits until both ends have ended, and checks what they received; `complete`: the end has to have everything that
    /// the channel promises. Gives how many messages did not arrive.
    pub(crate) async fn finish(self, complete: [bool; 2]) -> u64 {
        let mut undelivered = 0;
        for (end, (reader, is_complete)) in self.readers.into_iter().zip(complete).enumerate() {
            self.ends[end].closed().await;
            let received = reader.await.expect("a wrong message has ended the process already");
            let sent = self.sent[1 - end].count();
            received.check(sent, is_complete);
            undelivered += sent - received.count;
        }
        undelivered
    }

    /// Nobody reads any more.
    pub(crate) fn forget(self) {
        self.readers.iter().for_each(JoinHandle::abort);
    }
}
