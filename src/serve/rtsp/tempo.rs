//! How fast a PLAY is to be, as its headers Scale and Speed say, and how its reply says what it is (RFC 2326 sections 12.34 and 12.35).

use crate::storage::Pace;
use crate::wire::rtsp::{Reply, Request, tempo};

/// What was asked for, as far as it was.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tempo {
    scale: Option<i8>,
    speed_percent: Option<u32>,
}

impl Tempo {
    pub fn of(request: &Request) -> Self {
        let (scale, speed) = (tempo::scale(request.header("Scale")), request.header("Speed"));
        Self { scale, speed_percent: tempo::speed_percent(speed) }
    }

    /// Whether it is to be another one, maybe.
    pub fn is_asked(self) -> bool {
        self.scale.is_some() || self.speed_percent.is_some()
    }

    pub fn goes_back(self) -> bool {
        self.scale() < 0
    }

    pub fn scale(self) -> i8 {
        self.scale.unwrap_or(1)
    }

    pub fn speed_percent(self) -> u32 {
        self.speed_percent.unwrap_or(100)
    }
}

/// It says how fast it is, where that was asked for.
pub fn told(mut reply: Reply, request: &Request, pace: Pace) -> Reply {
    let (scale, percent) = match pace {
        Pace::Percent(percent) => (1, percent),
        Pace::Scaled(scale, _) => (scale, 100),
        Pace::AsItIsTaken => (1, 100),
    };
    if request.header("Scale").is_some() {
        reply = reply.header("Scale", &scale.to_string());
    }
    if request.header("Speed").is_some() {
        reply = reply.header("Speed", &tempo::speed(percent));
    }
    reply
}
