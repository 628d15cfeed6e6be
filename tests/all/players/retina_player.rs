//! retina as a player: an RTSP client that checks what it is told more strictly than most.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use futures::StreamExt;
use retina::client::{
    Credentials, PacketItem, PlayOptions, Playing, Session, SessionGroup, SessionOptions, SetupOptions,
    TcpTransportOptions, Transport, UdpTransportOptions,
};
use retina::codec::{CodecItem, FrameFormat};
use url::Url;

use crate::vocabulary::Over;

/// Bare sound, as it is in RTP, beside pictures that a decoder takes as they are.
const FORMAT: FrameFormat = FrameFormat { aac_framing: FrameFormat::MP4.aac_framing, ..FrameFormat::SIMPLE };

/// Keeps a transport stream until the server ends it.
pub fn keep_stream(over: Over, url: &str, stream: &Path) -> JoinHandle<()> {
    let mut stream = File::create(stream).expect("a file");
    in_background(over, url, async move |mut session| {
        while let Some(Ok(item)) = session.next().await {
            if let PacketItem::Rtp(packet) = item {
                stream.write_all(packet.payload()).expect("room on the disk");
            }
        }
    })
}

/// Keeps two tracks until the server ends them.
pub fn keep_tracks(over: Over, url: &str, picture: &Path, sound: &Path) -> JoinHandle<()> {
    let mut picture = File::create(picture).expect("a file");
    let mut sound = File::create(sound).expect("a file");
    in_background(over, url, async move |session| {
        let mut session = session.demuxed().expect("retina knows H.264 and AAC");
        while let Some(Ok(item)) = session.next().await {
            match item {
                CodecItem::VideoFrame(frame) => picture.write_all(frame.data()).expect("room on the disk"),
                CodecItem::AudioFrame(frame) => sound.write_all(frame.data()).expect("room on the disk"),
                _ => {}
            }
        }
    })
}

/// Keeps so many seconds of a transport stream, and says goodbye.
pub fn keep_seconds(over: Over, url: &str, seconds: f64, stream: &Path) -> Result<(), String> {
    let mut file = File::create(stream).map_err(|error| error.to_string())?;
    let url = Url::parse(url).map_err(|error| error.to_string())?;
    runtime().block_on(async {
        let group = Arc::new(SessionGroup::default());
        let options = SessionOptions::default().session_group(group.clone());
        let watch = async {
            let mut session = play(over, url, options).await?;
            // A report that came before it may be about another time.
            let mut first = None;
            while let Some(item) = session.next().await {
                let PacketItem::Rtp(packet) = item? else { continue };
                file.write_all(packet.payload()).expect("room on the disk");
                let now = packet.timestamp().elapsed_secs();
                if now - *first.get_or_insert(now) > seconds {
                    break;
                }
            }
            Ok::<_, retina::Error>(())
        };
        let watched = watch.await;
        watched.and(group.await_teardown().await).map_err(|error| error.to_string())
    })
}

/// A coded picture, or frame of sound: when it is shown, in ticks of its track since the first one, and what it is.
pub type AccessUnit = (i64, Vec<u8>);

/// Pictures and sound of a film, each as an MP4 file has it, until so many pictures have come.
pub fn access_units(over: Over, url: &str, pictures: usize) -> Result<[Vec<AccessUnit>; 2], String> {
    let url = Url::parse(url).map_err(|error| error.to_string())?;
    let units = runtime().block_on(async {
        let session = play_as(over, url, SessionOptions::default(), FrameFormat::MP4).await?;
        let (mut session, mut units) = (session.demuxed()?, [Vec::new(), Vec::new()]);
        while let Some(item) = session.next().await {
            match item? {
                CodecItem::VideoFrame(frame) => {
                    units[0].push((frame.timestamp().elapsed(), frame.data().to_vec()));
                    if units[0].len() == pictures {
                        break;
                    }
                }
                CodecItem::AudioFrame(frame) => {
                    units[1].push((frame.timestamp().elapsed(), frame.data().to_vec()));
                }
                _ => {}
            }
        }
        Ok(units)
    });
    units.map_err(|error: retina::Error| error.to_string())
}

fn in_background<W>(over: Over, url: &str, watch: W) -> JoinHandle<()>
where
    W: AsyncFnOnce(Session<Playing>) + Send + 'static,
{
    let url = Url::parse(url).expect("a URL");
    thread::spawn(move || {
        runtime().block_on(async {
            let session = play(over, url, SessionOptions::default())
                .await
                .unwrap_or_else(|error| panic!("retina over {over:?}: {error}"));
            watch(session).await;
        });
    })
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Plays what a URL names, which may have a login: retina wants that apart.
async fn play(over: Over, url: Url, options: SessionOptions) -> Result<Session<Playing>, retina::Error> {
    play_as(over, url, options, FORMAT).await
}

async fn play_as(
    over: Over,
    mut url: Url,
    options: SessionOptions,
    format: FrameFormat,
) -> Result<Session<Playing>, retina::Error> {
    let login = url
        .password()
        .map(|password| Credentials { username: url.username().to_owned(), password: password.to_owned() });
    if login.is_some() {
        url.set_username("").and_then(|()| url.set_password(None)).expect("a URL of a host");
    }
    let mut session = Session::describe(url, options.creds(login)).await?;
    for track in 0..session.streams().len() {
        let transport = match over {
            Over::Udp => Transport::Udp(UdpTransportOptions::default()),
            Over::Tcp => Transport::Tcp(TcpTransportOptions::default()),
        };
        session.setup(track, SetupOptions::default().transport(transport).frame_format(format)).await?;
    }
    session.play(PlayOptions::default()).await
}
