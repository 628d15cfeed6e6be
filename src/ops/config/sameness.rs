//! What two configs have in common: whether they mean the same, and whether a channel of the one can go on as one of the other.

use std::path::PathBuf;

use super::truth::Config;
use super::truth_channel::ChannelSettings;

impl Config {
    /// Whether another one comes to the same, however it was written.
    #[must_use]
    pub fn means_the_same(&self, other: &Self) -> bool {
        let meaning = |config: &Self| {
            let mut bare =
                Self { warnings: Vec::new(), file: None, revision: String::new(), ..config.clone() };
            // The certificate is read again by itself.
            bare.rtsp.tls.iter_mut().for_each(|tls| tls.expires = 0);
            bare
        };
        meaning(self) == meaning(other)
    }

    /// The files that it is made of.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        let own = self.file.iter().chain(&self.channels_file);
        own.chain(self.channels.iter().filter_map(|channel| channel.file.as_ref()))
    }
}

impl ChannelSettings {
    /// Whether a channel of the one could be one of the other: what is made once, with the channel, is alike.
    #[must_use]
    pub fn is_made_like(&self, other: &Self) -> bool {
        let made = |settings: &Self| {
            let Self { on_demand, renew, silent_after, coalesce, enter_at, .. } = settings.clone();
            let repair = (settings.repair_percent, settings.offer_repair);
            (on_demand, renew, silent_after, coalesce, enter_at, repair, settings.marks)
        };
        made(self) == made(other)
    }

    /// Whether both come by the same interfaces, and its legs are one stream in the same way.
    #[must_use]
    pub fn comes_like(&self, other: &Self) -> bool {
        let come =
            |settings: &Self| (settings.interface.clone(), settings.interfaces.clone(), settings.redundancy);
        come(self) == come(other)
    }
}
