//! The judge's decoder: ffmpeg, which is given a stream as if it came from a connection that ends there.
//!
//! At the end of what it is given a decoder puts out what it has. So a picture counts from its last byte on, and
//! not from the next one's first.

use std::io::{Error, Result, Write};
use std::process::{Command, Stdio};
use std::thread;

/// One thread, so that the first picture is put out before anything is said of the second.
const READ: [&str; 6] = ["-threads", "1", "-f", "mpegts", "-i", "pipe:0"];

/// The first picture of a stream, by its digest; `None` if there is none in it.
pub fn first_picture(stream: &[u8]) -> Result<Option<String>> {
    let mut options = vec!["-v", "quiet"];
    options.extend(READ);
    options.extend(["-map", "0:v:0", "-frames:v", "1", "-f", "framemd5", "-"]);
    let (said, _) = run(&options, stream)?;
    let picture = said.lines().find(|line| !line.starts_with('#') && !line.is_empty());
    Ok(picture.and_then(|line| line.rsplit(',').next()).map(|digest| digest.trim().to_owned()))
}

/// What the decoder of pictures and sound complains of: a line each.
pub fn complaints(stream: &[u8]) -> Result<Vec<String>> {
    let mut options = vec!["-v", "error"];
    options.extend(READ);
    options.extend(["-map", "0:v", "-map", "0:a?", "-f", "null", "-"]);
    let (_, complaints) = run(&options, stream)?;
    Ok(complaints.lines().map(str::to_owned).collect())
}

/// Gives what was said on standard output and on standard error.
fn run(options: &[&str], stream: &[u8]) -> Result<(String, String)> {
    let mut child = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner"])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Error::new(error.kind(), format!("ffmpeg: {error}")))?;
    let input = child.stdin.take();
    thread::scope(|scope| {
        // It reads no more than it needs: what it does not take is no error.
        scope.spawn(move || input.map(|mut input| input.write_all(stream)));
        let output = child.wait_with_output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((text(&output.stdout), text(&output.stderr)))
    })
}
