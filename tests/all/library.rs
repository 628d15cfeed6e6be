//! Films: files of a library, played from their beginning, from anywhere, and to their end; and what is no film.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::players::programme::ffmpeg;
use crate::players::retina_player::{AccessUnit, access_units};
use crate::vocabulary::film::{APART, MS, PACKET, TOGETHER, film, packet, read};
use crate::vocabulary::{
    Medium, Mirrorball, Needs, Over, Reply, Setup, Viewer, in_a_network_of_its_own, is_goodbye, say,
    storage_in,
};

/// A program that serves films.
struct Cinema {
    films: TempDir,
    _kept: TempDir,
    mirrorball: Mirrorball,
}

impl Cinema {
    fn open() -> Self {
        Self::with("")
    }

    fn with(lines: &str) -> Self {
        let [films, kept] = [(); 2].map(|()| TempDir::new().expect("a directory"));
        let library = format!("name = \"films\"\ndirectory = \"{}\"\n{lines}", films.path().display());
        let setup = Setup::new().section("storage", &storage_in(kept.path(), ""));
        let mirrorball = setup.section("[library]", &library).start();
        Self { films, _kept: kept, mirrorball }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.films.path().join(name)
    }

    fn keep(&self, name: &str, film: &[u8]) {
        let path = self.path(name);
        path.parent().map(fs::create_dir_all).transpose().expect("a directory").expect("a parent");
        fs::write(path, film).expect("there is room");
    }

    /// A film of ffmpeg's, of pictures and a tone.
    fn make(&self, name: &str, made_by: &str) -> PathBuf {
        let (path, pictures) = (self.path(name), "testsrc2=size=160x120:rate=25");
        let mut make =
            ffmpeg(&["-f", "lavfi", "-i", pictures, "-f", "lavfi", "-i", "sine=sample_rate=48000"]);
        make.args(made_by.split_ascii_whitespace()).arg(&path);
        assert!(make.status().expect("ffmpeg runs").success(), "{name}");
        path
    }

    /// A viewer of a film, of which nothing plays yet.
    #[track_caller]
    fn viewer(&self, name: &str, over: Over) -> Viewer {
        let mut viewer = Viewer::of(&self.mirrorball, &format!("films/{name}"));
        viewer.set_up(1, over);
        viewer
    }

    #[track_caller]
    fn expect_status(&self, name: &str, status: u16) {
        let mut viewer = Viewer::of(&self.mirrorball, &format!("films/{name}"));
        let url = viewer.url.clone();
        viewer.connection.request("DESCRIBE", &url, &[]).expect(status);
    }
}

#[track_caller]
fn expect_film(viewer: &mut Viewer, film: &[u8]) {
    for (number, expected) in film.chunks(TOGETHER * PACKET).enumerate() {
        let packet = viewer.packet();
        assert!(read(&packet).2 == expected, "packet {number} is not that of the file");
    }
}

#[test]
fn a_film_is_played_byte_for_byte_at_its_own_pace_and_again_from_its_beginning() {
    let cinema = Cinema::open();
    for (over, name, before, behind) in
        [(Over::Udp, "a b/plain.ts", 0, 0), (Over::Tcp, "camera.m2ts", 4, 0), (Over::Tcp, "parity.ts", 0, 16)]
    {
        let packets = 420;
        let stored = |number| [vec![1; before], packet(number), vec![2; behind]].concat();
        cinema.keep(name, &(0..packets).flat_map(stored).collect::<Vec<_>>());
        let mut viewer = cinema.viewer(&name.replace(' ', "%20"), over);
        let range = |reply: Reply| reply.header("Range").map(str::to_owned).expect("it says what is played");
        let reply = range(viewer.request("PLAY").expect(200));
        assert_eq!(reply, "npt=0.000000-", "{name}");
        let (mut passed, mut last) = (0, None);
        for number in 0..packets / TOGETHER {
            let packet = viewer.packet();
            let (sequence, timestamp, payload) = read(&packet);
            let expected: Vec<u8> =
                (0..TOGETHER).flat_map(|of| self::packet(number * TOGETHER + of)).collect();
            assert!(payload == expected, "{name}: packet {number}");
            if let Some((before, time)) = last.replace((sequence, timestamp)) {
                assert_eq!(sequence.wrapping_sub(before), 1, "{name}");
                passed += timestamp.wrapping_sub(time);
            }
        }
        assert!((180_000..190_000).contains(&passed), "{name}: {passed}");
        viewer.expect_silence();
        let goodbye =
            (0..10).any(|_| viewer.rtcp_within(Duration::from_secs(5)).is_some_and(|rtcp| is_goodbye(&rtcp)));
        assert!(goodbye, "{name}: it is told that it is over");
        assert_eq!(range(viewer.request("PLAY").expect(200)), reply, "{name}");
        let again = viewer.packet();
        assert!(read(&again).2 == film(TOGETHER), "{name}");
        assert_eq!(
            last.map(|(sequence, _)| read(&again).0.wrapping_sub(sequence)),
            Some(1),
            "{name}: one stream"
        );
        viewer.teardown();
    }
}

#[test]
fn any_place_is_played_from_the_picture_before_it_and_a_pause_keeps_the_place() {
    let cinema = Cinema::open();
    let all = film(1400);
    cinema.keep("long.ts", &all);
    for over in [Over::Udp, Over::Tcp] {
        let mut viewer = cinema.viewer("long.ts", over);
        let url = viewer.url.clone();
        let described = viewer.connection.request("DESCRIBE", &url, &[]).expect(200).body;
        assert!(described.contains("a=range:npt=0.000000-7.000000\r\n"), "{described}");
        let reply = viewer.play_range("npt=2.5-").expect(200);
        // The picture of 2.45 s.
        assert_eq!(reply.header("Range"), Some("npt=2.450000-"));
        let first = viewer.packet();
        assert_eq!(viewer.announced, [(read(&first).0, read(&first).1)]);
        assert!(read(&first).2 == &all[490 * PACKET..497 * PACKET], "{over:?}");
        expect_film(&mut viewer, &all[497 * PACKET..560 * PACKET]);
        viewer.request("PAUSE").expect(200);
        let mut next = 560;
        while let Some(packet) = viewer.packet_within(0, Duration::from_millis(300)) {
            assert!(read(&packet).2 == &all[next * PACKET..(next + TOGETHER) * PACKET], "what was under way");
            next += TOGETHER;
        }
        viewer.request("PLAY").expect(200);
        expect_film(&mut viewer, &all[next * PACKET..(next + 70) * PACKET]);
        // A part, of which the end is told.
        let reply = viewer.play_range("npt=0.7-1.0").expect(200);
        assert_eq!(reply.header("Range"), Some("npt=0.700000-1.000000"));
        let sequence = viewer.announced[0].0;
        let first = (0..200).map(|_| viewer.packet()).find(|packet| read(packet).0 == sequence);
        assert!(first.is_some_and(|first| read(&first).2 == &all[140 * PACKET..147 * PACKET]), "{over:?}");
        expect_film(&mut viewer, &all[147 * PACKET..196 * PACKET]);
        for (range, status) in
            [("npt=7-", 457), ("npt=3-2", 457), ("smpte=0:00:01-", 501), ("clock=20260101T000000Z-", 501)]
        {
            viewer.play_range(range).expect(status);
        }
        viewer.teardown();
    }
}

#[test]
fn who_jumps_without_a_pause_has_no_number_twice_and_the_one_that_was_announced() {
    let cinema = Cinema::open();
    cinema.keep("long.ts", &film(2800));
    for over in [Over::Udp, Over::Tcp] {
        let mut viewer = cinema.viewer("long.ts", over);
        viewer.play_range("npt=1-").expect(200);
        let mut last = read(&viewer.packet()).0;
        for times in 0..7_u64 {
            let range = format!("npt={}-", times % 7 + 2);
            viewer.play_range(&range).expect(200);
            let (announced, _) = viewer.announced[0];
            // What had been sent before comes first, and all of it is numbered through.
            let mut has_begun = false;
            for _ in 0..25 {
                let (packet, expected) = (viewer.packet(), last.wrapping_add(1));
                let (sequence, _, payload) = read(&packet);
                assert_eq!(sequence, expected, "{over:?}, {range}");
                last = sequence;
                if sequence == announced {
                    has_begun = true;
                    let place = u64::from_be_bytes(payload[12..20].try_into().expect("eight"));
                    let begins = (times % 7 + 2) * 1000 / (MS * APART) as u64 * APART as u64;
                    assert_eq!(place, begins, "{over:?}, {range}");
                }
            }
            assert!(has_begun, "{over:?}: {announced} was announced, and {last} has come");
        }
        viewer.teardown();
    }
}

#[test]
fn what_is_no_film_of_the_library_is_not_found_and_what_can_not_be_played_is_said() {
    let cinema = Cinema::open();
    cinema.keep("there.ts", &film(140));
    cinema.keep("notes.txt", b"not a film");
    cinema.keep("empty.ts", b"");
    cinema.keep(".hidden.ts", &film(140));
    fs::create_dir(cinema.path("directory")).expect("made");
    symlink("/etc/passwd", cinema.path("link.ts")).expect("linked");
    symlink(cinema.path("there.ts"), cinema.path("inner.ts")).expect("linked");
    nix::unistd::mkfifo(&cinema.path("pipe.ts"), nix::sys::stat::Mode::S_IRWXU).expect("made");
    cinema.expect_status("there.ts", 200);
    for name in [
        "nothing.ts",
        "../there.ts",
        "%2e%2e/there.ts",
        "%2e%2e%2fthere.ts",
        "directory",
        "directory/",
        "link.ts",
        "inner.ts",
        ".hidden.ts",
        "pipe.ts",
        "there.ts/more",
    ] {
        cinema.expect_status(name, 404);
    }
    for name in ["notes.txt", "empty.ts"] {
        cinema.expect_status(name, 415);
    }
    let told = "a film is not played: as a transport stream it can not be played: no two clock references";
    assert_eq!(cinema.mirrorball.expect_logged(told, 2).len(), 2);
    // It is there later, and is another one then.
    cinema.keep("nothing.ts", &film(140));
    std::thread::sleep(Duration::from_secs(5)); // that is how long it is known what is there
    cinema.expect_status("nothing.ts", 200);
}

#[test]
fn who_may_watch_a_library_is_said_there() {
    let cinema = Cinema::with("deny = [\"127.0.0.0/8\"]");
    cinema.keep("there.ts", &film(140));
    cinema.expect_status("there.ts", 403);
    cinema.expect_status("nothing.ts", 403);
}

#[test]
fn ffprobe_and_ffmpeg_have_a_film_whole() {
    let needs = Needs { programs: &["ip", "ffmpeg", "ffprobe"], route: false, ipv6: false };
    in_a_network_of_its_own("a film of ffmpeg", &needs, || {
        let cinema = Cinema::open();
        let path = cinema.path("made.ts");
        let mut make =
            ffmpeg(&["-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25", "-f", "lavfi", "-i", "sine"]);
        make.args(["-t", "4", "-c:v", "libx264", "-g", "25", "-bf", "2", "-c:a", "aac", "-f", "mpegts"])
            .arg(&path);
        assert!(make.status().expect("ffmpeg runs").success());
        let url = cinema.mirrorball.url("films/made.ts");
        let frames = |input: &str| {
            let mut probe = Command::new("ffprobe");
            probe.args(["-v", "error", "-rtsp_transport", "tcp", "-count_packets", "-select_streams", "v"]);
            probe.args(["-show_entries", "format=duration:stream=nb_read_packets", "-of", "csv=p=0"]);
            let probe = if input.starts_with("rtsp") { &mut probe } else { probe_of_a_file(&mut probe) };
            let out = probe.arg(input).output().expect("ffprobe runs");
            String::from_utf8_lossy(&out.stdout).split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        let (here, there) = (frames(&path.to_string_lossy()), frames(&url));
        say(&format!("film: {here:?} in the file, {there:?} over RTSP"));
        let [here, there] =
            [here, there].map(|told| told.first().and_then(|count| count.parse::<u32>().ok()));
        assert_eq!(here, Some(100));
        // What begins with the next picture, ffmpeg takes for the end of one: behind the last there is none.
        assert!(there >= Some(99), "{there:?}");
    });
}

/// The same without what is of RTSP.
fn probe_of_a_file(probe: &mut Command) -> &mut Command {
    let arguments: Vec<_> =
        probe.get_args().map(ToOwned::to_owned).filter(|a| a != "-rtsp_transport" && a != "tcp").collect();
    *probe = Command::new("ffprobe");
    probe.args(arguments)
}

/// The pictures of a file or URL, decoded, and its sound as it is coded: hashes by stream.
fn hashes(input: &str) -> [Vec<String>; 2] {
    let mut read = Command::new("ffmpeg");
    read.args(["-v", "error", "-rtsp_transport", "tcp"]);
    if !input.starts_with("rtsp") {
        read = Command::new("ffmpeg");
        read.args(["-v", "error"]);
    }
    read.args([
        "-i",
        input,
        "-map",
        "0:v",
        "-map",
        "0:a",
        "-fps_mode",
        "passthrough",
        "-c:a",
        "copy",
        "-f",
        "framemd5",
        "-",
    ]);
    let out = read.output().expect("ffmpeg runs");
    let told = String::from_utf8_lossy(&out.stdout).into_owned();
    let of = |stream: &str| {
        let frames = told.lines().filter_map(|line| line.trim().strip_prefix(stream));
        // Behind the hash may be what else came with a frame: what time it is.
        frames.filter_map(|line| Some(line.split(',').nth(4)?.trim().to_owned())).collect()
    };
    [of("0,"), of("1,")]
}

#[test]
fn films_of_tracks_come_out_of_ffmpeg_as_they_are_in_the_file() {
    let needs = Needs { programs: &["ip", "ffmpeg"], route: false, ipv6: false };
    in_a_network_of_its_own("films of tracks", &needs, || {
        let cinema = Cinema::open();
        for (name, made_by) in [
            ("made.mp4", "-c:v libx264 -g 25 -bf 2 -c:a aac"),
            ("pieces.mp4", "-c:v libx264 -g 25 -bf 2 -c:a aac -movflags frag_keyframe+empty_moov"),
            ("new.mp4", "-c:v libx265 -x265-params log-level=none -g 25 -c:a libopus -strict -2"),
            ("old.mov", "-c:v mpeg4 -g 25 -c:a libmp3lame"),
            ("hinted.mov", "-c:v libx264 -g 25 -bf 2 -c:a aac -movflags rtphint"),
        ] {
            let path = cinema.make(name, &format!("-t 2 {made_by}"));
            let [here, there] =
                [path.to_string_lossy().into_owned(), cinema.mirrorball.url(&format!("films/{name}"))]
                    .map(|input| hashes(&input));
            say(&format!(
                "{name}: {} pictures of {}, {} pieces of sound of {}",
                there[0].len(),
                here[0].len(),
                there[1].len(),
                here[1].len()
            ));
            assert_eq!(here[0].len(), 50, "{name}");
            assert_eq!(there[0], here[0], "{name}: pictures");
            // What primes the decoder is not shown, what is behind the last that is shown need not come, and of the last packet of
            // sound ffmpeg writes no hints.
            let spared = if name == "hinted.mov" { 12 } else { 2 };
            let shared = there[1].iter().filter(|piece| here[1].contains(piece)).count();
            assert!(
                shared + spared >= here[1].len() && !here[1].is_empty(),
                "{name}: {shared} of {}",
                here[1].len()
            );
        }
    });
}

#[test]
fn a_film_of_tracks_that_was_paused_goes_on_with_the_next_number_and_backwards_it_ends_at_its_beginning() {
    let needs = Needs { programs: &["ip", "ffmpeg"], route: false, ipv6: false };
    in_a_network_of_its_own("a film of tracks that is paused", &needs, || {
        let cinema = Cinema::open();
        let mut make = ffmpeg(&["-f", "lavfi", "-i", "testsrc2=size=640x480:rate=25"]);
        make.args("-t 6 -c:v libx264 -g 10 -bf 2".split(' ')).arg(cinema.path("made.mp4"));
        assert!(make.status().expect("ffmpeg runs").success());
        let mut viewer = cinema.viewer("made.mp4", Over::Tcp);
        viewer.request("PLAY").expect(200);
        let mut last = None;
        let mut numbered_on = |packet: &[u8]| {
            let sequence = read(packet).0;
            let before = last.replace(sequence);
            assert!(
                before.is_none_or(|before: u16| before.wrapping_add(1) == sequence),
                "{before:?}, {sequence}"
            );
        };
        (0..40).for_each(|_| numbered_on(&viewer.packet()));
        viewer.request("PAUSE").expect(200);
        while let Some(packet) = viewer.packet_within(0, Duration::from_millis(300)) {
            numbered_on(&packet);
        }
        viewer.request("PLAY").expect(200);
        (0..40).for_each(|_| numbered_on(&viewer.packet()));
        let (url, session) = (viewer.url.clone(), viewer.session.clone());
        let headers = [("Session", &*session), ("Range", "npt=2-"), ("Scale", "-4")];
        let reply = viewer.connection.request("PLAY", &url, &headers).expect(200);
        assert_eq!(
            (reply.header("Range"), reply.header("Scale")),
            (Some("npt=2.000000-0.000000"), Some("-4"))
        );
        let goodbye =
            (0..10).any(|_| viewer.rtcp_within(Duration::from_secs(5)).is_some_and(|rtcp| is_goodbye(&rtcp)));
        assert!(goodbye, "that was all");
    });
}

#[test]
fn sound_and_picture_of_a_film_say_what_time_they_are_by_one_clock() {
    let needs = Needs { programs: &["ip", "ffmpeg"], route: false, ipv6: false };
    in_a_network_of_its_own("a film that says what time it is", &needs, || {
        let cinema = Cinema::open();
        cinema.make("made.mp4", "-t 4 -c:v libx264 -g 25 -bf 2 -c:a aac");
        let mut viewer = cinema.viewer("made.mp4", Over::Udp);
        viewer.set_up(2, Over::Udp);
        viewer.play();
        let firsts = viewer.announced.clone();
        let mut said = |track: usize, clock: f64| {
            let report = viewer.rtcp_of(track, Duration::from_secs(10)).expect("a report");
            assert_eq!(report[1], 200, "it is a sender's");
            let word = |at: usize| u32::from_be_bytes(report[at..at + 4].try_into().expect("four"));
            let ntp = f64::from(word(8)) + f64::from(word(12)) / 4_294_967_296.0;
            assert!(word(20) > 0 && word(24) > word(20), "so much was sent");
            ntp - f64::from(word(16).wrapping_sub(firsts[track].1).cast_signed()) / clock
        };
        let begins = [said(0, 90_000.0), said(1, 48_000.0)];
        assert!((begins[0] - begins[1]).abs() < 0.001, "{begins:?}");
    });
}

#[test]
fn the_end_of_a_film_is_told_of_each_track_also_of_one_that_has_nothing_there() {
    let needs = Needs { programs: &["ip", "ffmpeg"], route: false, ipv6: false };
    in_a_network_of_its_own("a film whose sound ends before it", &needs, || {
        let cinema = Cinema::open();
        cinema.make("made.mp4", "-t 4 -c:v libx264 -g 25 -af atrim=end=1 -c:a aac");
        let mut viewer = cinema.viewer("made.mp4", Over::Tcp);
        viewer.set_up(2, Over::Tcp);
        for headers in [&[("Range", "npt=3-")][..], &[("Range", "npt=2-"), ("Scale", "4")]] {
            let (url, session) = (viewer.url.clone(), viewer.session.clone());
            let headers = [&[("Session", &*session)], headers].concat();
            viewer.connection.request("PLAY", &url, &headers).expect(200);
            for medium in &viewer.media {
                let Medium::Tcp { rtcp, .. } = *medium else { panic!("it is interleaved") };
                let mut told = || viewer.connection.frame(rtcp, Duration::from_secs(5));
                let goodbye = (0..10).any(|_| told().is_some_and(|rtcp| is_goodbye(&rtcp)));
                assert!(goodbye, "{headers:?}: on {rtcp}");
            }
        }
    });
}

#[test]
fn of_a_film_nobody_is_offered_repair_who_would_wait_for_it_at_the_end() {
    let cinema = Cinema::open();
    cinema.keep("there.ts", &film(140));
    for (agent, profile) in [("GStreamer/1.22.0", "RTP/AVP"), ("Lavf59.27.100", "RTP/AVPF")] {
        let mut viewer = Viewer::of(&cinema.mirrorball, "films/there.ts");
        let url = viewer.url.clone();
        let described =
            viewer.connection.request("DESCRIBE", &url, &[("User-Agent", agent)]).expect(200).body;
        assert!(described.contains(&format!("m=video 0 {profile} 33\r\n")), "{agent}: {described}");
    }
}

#[test]
fn sound_alone_is_played_sample_by_sample() {
    let cinema = Cinema::open();
    let samples: Vec<u8> = (0..48_000_u32).flat_map(|number| (number as i16).to_le_bytes()).collect();
    let mut wave = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    wave.extend(48_000_u32.to_le_bytes());
    wave.extend(96_000_u32.to_le_bytes());
    wave.extend(b"\x02\0\x10\0data");
    wave.extend((samples.len() as u32).to_le_bytes());
    wave.extend(&samples);
    cinema.keep("tone.wav", &wave);
    let mut viewer = cinema.viewer("tone.wav", Over::Tcp);
    assert_eq!(viewer.request("PLAY").expect(200).header("Range"), Some("npt=0.000000-"));
    let (mut heard, mut first) = (Vec::new(), None);
    while heard.len() < samples.len() {
        let packet = viewer.packet();
        let (_, timestamp, payload) = read(&packet);
        let since = timestamp.wrapping_sub(*first.get_or_insert(timestamp));
        assert_eq!(since as usize, heard.len() / 2);
        heard.extend(payload.chunks(2).flat_map(|sample| [sample[1], sample[0]]));
    }
    assert!(heard == samples);
    assert_eq!(viewer.play_range("npt=0.5-").expect(200).header("Range"), Some("npt=0.500000-"));
}

/// What ffprobe reads of a stream of a file: when each packet is shown, in ticks, and its bytes.
fn packets_of(path: &Path, stream: &str, clock_rate: i64) -> Vec<AccessUnit> {
    let file = fs::read(path).expect("a file");
    let mut probe = Command::new("ffprobe");
    probe.args([
        "-v",
        "error",
        "-select_streams",
        stream,
        "-show_entries",
        "packet=pts_time,pos,size",
        "-of",
        "csv=p=0",
    ]);
    let out = probe.arg(path).output().expect("ffprobe runs");
    let read = |line: &str| {
        let [time, size, pos] = line.trim_end_matches(',').split(',').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let [size, pos] = [size, pos].map(|number| number.parse::<usize>().expect("a number"));
        let time: f64 = time.parse().expect("a time");
        ((time * clock_rate as f64).round() as i64, file[pos..pos + size].to_vec())
    };
    String::from_utf8_lossy(&out.stdout).lines().filter(|line| !line.is_empty()).map(read).collect()
}

#[test]
fn each_access_unit_of_a_film_is_that_of_the_file_at_its_time() {
    let needs = Needs { programs: &["ip", "ffmpeg", "ffprobe"], route: false, ipv6: false };
    in_a_network_of_its_own("access units of a film", &needs, || {
        let cinema = Cinema::open();
        let path = cinema.make("made.mp4", "-t 3 -c:v libx264 -g 25 -bf 2 -c:a aac");
        let expected = [packets_of(&path, "v", 90_000), packets_of(&path, "a", 48_000)];
        let [pictures, sound] =
            access_units(Over::Tcp, &cinema.mirrorball.url("films/made.mp4"), 75).expect("retina plays it");
        let (first, is_near) = (expected[0][0].0, |a: i64, b: i64| (a - b).abs() <= 1);
        assert_eq!((pictures.len(), expected[0].len()), (75, 75));
        for (place, (unit, there)) in pictures.iter().zip(&expected[0]).enumerate() {
            assert!(unit.1 == there.1, "picture {place}");
            assert!(
                is_near(unit.0 - pictures[0].0, there.0 - first),
                "picture {place}: {} and {}",
                unit.0,
                there.0
            );
        }
        // What primes the decoder is not shown.
        let heard: Vec<_> = expected[1].iter().filter(|unit| unit.0 >= 0).collect();
        for (place, (unit, there)) in sound.iter().zip(&heard).enumerate() {
            assert!(unit.1 == there.1, "sound {place}");
            assert!(
                is_near(unit.0 - sound[0].0, there.0 - heard[0].0),
                "sound {place}: {} and {}",
                unit.0,
                there.0
            );
        }
        assert!(sound.len() + 10 > heard.len(), "{} of {}", sound.len(), heard.len());
    });
}
