//! Descriptions as real senders write them, each in that sender's habits. For tests.

/// ffmpeg with `-sdp_file`: one file for two outputs, a group and TTL below each medium.
pub const FFMPEG: &str = "\
v=0
o=- 0 0 IN IP4 127.0.0.1
s=Evening News
t=0 0
a=tool:libavformat 60.16.100
m=video 5004 RTP/AVP 96
c=IN IP4 239.9.9.1/16
b=AS:2500
a=rtpmap:96 H264/90000
a=fmtp:96 packetization-mode=1; sprop-parameter-sets=Z2QAH6zZQFAFuhAAAAMAEAAAAwPA8YMZYA==,aOvjyyLA; profile-level-id=64001F
m=audio 5006 RTP/AVP 97
c=IN IP4 239.9.9.2/16
b=AS:128
a=rtpmap:97 MPEG4-GENERIC/48000/2
a=fmtp:97 profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3; config=119056E500
";

/// GStreamer: direction and clock attributes, the group for the whole session, RTCP on a port of its own.
pub const GSTREAMER: &str = "\
v=0
o=- 1188340656180883 1 IN IP4 10.1.0.5
s=Session streamed by GStreamer
i=server.sdp
c=IN IP4 239.1.2.3/127
t=0 0
a=tool:GStreamer
a=type:broadcast
a=control:*
a=range:npt=now-
a=sendonly
m=video 5000 RTP/AVPF 96 97
b=AS:4000
a=rtpmap:96 H265/90000
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96;rtx-time=500
a=framerate:25
a=rtcp:5010 IN IP4 239.1.2.3
a=control:stream=0
a=ts-refclk:local
a=mediaclk:sender
";

/// An AES67 sender: source-specific, PTP clock, L24.
pub const AES67: &str = "\
v=0
o=- 1423986 1423994 IN IP4 192.168.1.21
s=Stage Left : 2
c=IN IP4 239.69.11.44/32
t=0 0
a=keywds:Dante
a=source-filter: incl IN IP4 239.69.11.44 192.168.1.21
m=audio 5004 RTP/AVP 97
i=2 channels: Left, Right
c=IN IP4 239.69.11.44/32
a=recvonly
a=rtpmap:97 L24/48000/2
a=ptime:1
a=ts-refclk:ptp=IEEE1588-2008:00-1D-C1-FF-FE-12-34-56:0
a=mediaclk:direct=142410716
";

/// A camera: no o= or t= worth the name, stray attributes before t=, a disabled audio, static payload types.
pub const CAMERA: &str = "\
v=0
o=cam lobby 7 IN IP4 camera.local
s=
c=IN IP4 239.4.4.4/5
a=x-qt-text-nam:lobby camera
b=AS:3000
t=0 0
a=range:npt=0-
m=video 40000 RTP/AVP 26 \t
a=control:rtsp://192.168.1.60/stream/video
a=x-dimensions:1280,720
m=audio 0 RTP/AVP 8
a=rtpmap:8 PCMA/8000/1
m=audio 40004 RTP/AVP 0
a=control:track2
";

/// IPv6 with a source for the whole session.
pub const IPV6: &str = "\
v=0
o=radio 42 43 IN IP6 2001:db8::9
s=Radio Six
c=IN IP6 ff3e::8000:1
t=0 0
a=source-filter: incl IN IP6 * 2001:db8::9
m=audio 6000 RTP/AVP 14
";

pub const ALL: [&str; 5] = [FFMPEG, GSTREAMER, AES67, CAMERA, IPV6];
