//! Two peers in this process, connected over 127.0.0.1.

use std::error::Error;
use straits::{Configuration, DataChannel, DataChannelInit, Identity, PeerConnection};

pub(crate) type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

/// A connected pair with one open channel.
pub(crate) struct Pair {
    pub(crate) local: PeerConnection,
    pub(crate) remote: PeerConnection,
    pub(crate) sender: DataChannel,
    pub(crate) receiver: DataChannel,
}

/// What every pair of a run shares: certificates are made once, as applications do.
#[derive(Clone)]
pub(crate) struct Setup {
    configuration: Configuration,
}

impl Setup {
    pub(crate) fn new() -> Result<Self> {
        let configuration =
            Configuration::default().certificate(Identity::generate()?).bind_address("127.0.0.1:0".parse()?);
        Ok(Self { configuration })
    }

    /// From creating both peers to both channels open.
    pub(crate) async fn connect(&self) -> Result<Pair> {
        self.connect_with(DataChannelInit::default()).await
    }

    /// The same with a channel that is not the ordinary one.
    pub(crate) async fn connect_with(&self, init: DataChannelInit) -> Result<Pair> {
        let local = PeerConnection::new(self.configuration.clone())?;
        let remote = PeerConnection::new(self.configuration.clone())?;
        let sender = local.create_data_channel("bench", init)?;

        let peer = remote.clone();
        local.on_ice_candidate(move |candidate| drop(peer.add_ice_candidate(candidate)));
        let peer = local.clone();
        remote.on_ice_candidate(move |candidate| drop(peer.add_ice_candidate(candidate)));

        let offer = local.create_offer().await?;
        local.set_local_description(offer.clone()).await?;
        remote.set_remote_description(offer).await?;
        let answer = remote.create_answer().await?;
        remote.set_local_description(answer.clone()).await?;
        local.set_remote_description(answer).await?;

        let receiver =
            remote.accept_channel().await.ok_or("the connection closed before its channel came")?;
        sender.opened().await?;
        Ok(Pair { local, remote, sender, receiver })
    }
}
