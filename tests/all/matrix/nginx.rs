//! nginx in front of the program, as the documents have it.

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::vocabulary::{certificate, eventually};

/// A proxy. In all of its places requests are passed on as they come.
pub struct Nginx {
    child: Child,
    /// Replies are as nginx has them by itself.
    pub plain: SocketAddr,
    /// Replies are passed on as they come.
    pub unbuffered: SocketAddr,
    /// TLS ends here.
    pub tls: SocketAddr,
    _directory: TempDir,
}

impl Nginx {
    pub fn before(server: SocketAddr) -> Self {
        let directory = TempDir::new().expect("a directory");
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("our own");
        let own = directory.path().display();
        let (shown, key) = certificate(2040);
        for (name, content) in [("edge.pem", shown), ("edge.key", key)] {
            fs::write(directory.path().join(name), content).expect("a file");
        }
        let [plain, unbuffered, tls] = free_addresses();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {own}/{kind};\n"))
            .collect();
        let location = |more: &str| {
            format!("location / {{ proxy_pass http://{server}; proxy_request_buffering off; {more} }}")
        };
        let config = format!(
            "daemon off; master_process off; pid {own}/pid; error_log stderr crit;\nevents {{}}\nhttp {{\n\
             access_log off;\n{temporary}proxy_http_version 1.1;\n\
             server {{ listen {plain}; {} }}\n\
             server {{ listen {unbuffered}; {} }}\n\
             server {{ listen {tls} ssl; ssl_certificate {own}/edge.pem; ssl_certificate_key {own}/edge.key; {} }}\n}}\n",
            location(""),
            location("proxy_buffering off;"),
            location("")
        );
        let file = directory.path().join("nginx.conf");
        fs::write(&file, config).expect("a file");
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("nginx");
        command.env("PATH", path).args(["-e", "stderr", "-c"]).arg(file).stdin(Stdio::null());
        let nginx = Self {
            child: command.spawn().expect("nginx starts"),
            plain,
            unbuffered,
            tls,
            _directory: directory,
        };
        eventually("nginx listens", || TcpStream::connect(tls).ok());
        nginx
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Addresses that nobody has.
fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let listeners = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"));
    listeners.map(|listener| listener.local_addr().expect("bound"))
}
