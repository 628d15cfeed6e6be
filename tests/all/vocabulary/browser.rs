//! A browser without a screen: Chromium, told what to do by the Chrome DevTools Protocol.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket, connect};

use super::patience::{eventually, passes};

const PROGRAM: &str = "chromium";
/// What a page may need to come to something, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A key as the protocol has it.
#[derive(Clone, Copy)]
pub struct Key {
    name: &'static str,
    code: u32,
    text: &'static str,
}

pub const TAB: Key = Key { name: "Tab", code: 9, text: "" };
pub const ENTER: Key = Key { name: "Enter", code: 13, text: "\r" };

/// One page.
pub struct Browser {
    child: Child,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    session: String,
    calls: u64,
    _profile: TempDir,
}

impl Browser {
    /// Opens a page; of a phone, or of a desk. `None`: there is no Chromium here.
    pub fn open(url: &str) -> Option<Self> {
        let profile = TempDir::new().expect("a directory");
        let mut command = Command::new(PROGRAM);
        command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]);
        command.args(["--autoplay-policy=no-user-gesture-required", "--remote-debugging-port=0"]);
        command.arg(format!("--user-data-dir={}", profile.path().display())).arg("about:blank");
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?;
        let port_file = profile.path().join("DevToolsActivePort");
        let address = eventually("the browser says where it listens", || {
            let text = fs::read_to_string(&port_file).ok()?;
            let (port, path) = text.split_once('\n')?;
            Some(format!("ws://127.0.0.1:{port}{path}")).filter(|_| !path.is_empty())
        });
        let (socket, _) = connect(address.trim_end()).expect("the browser listens");
        let mut browser = Self { child, socket, session: String::new(), calls: 0, _profile: profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attached =
            browser.call("Target.attachToTarget", json!({ "targetId": target["targetId"], "flatten": true }));
        browser.session = attached["sessionId"].as_str().expect("a session").to_owned();
        browser.call("Page.enable", json!({}));
        browser.call("Page.navigate", json!({ "url": url }));
        Some(browser)
    }

    /// What a script comes to, which may be a promise.
    pub fn run(&mut self, script: &str) -> Value {
        let arguments = json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let done = self.call("Runtime.evaluate", arguments);
        assert!(done["exceptionDetails"].is_null(), "{script}: {}", done["exceptionDetails"]);
        done["result"]["value"].clone()
    }

    /// Waits until a script comes to something true.
    #[track_caller]
    pub fn expect(&mut self, what: &str, script: &str) {
        let came = passes(PATIENCE, || self.run(script) == Value::Bool(true));
        if !came {
            panic!("{what}: not within {PATIENCE:?}: {}", self.run("document.body.innerText"));
        }
    }

    /// A click on what a selector finds.
    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        let found = format!("document.querySelector({selector:?}) !== null");
        self.expect(selector, &found);
        self.run(&format!("document.querySelector({selector:?}).click()"));
    }

    /// A key, pressed wherever the focus is.
    pub fn press(&mut self, key: Key) {
        let Key { name, code, text } = key;
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let event = json!({ "type": kind, "key": name, "code": name, "windowsVirtualKeyCode": code, "text": text });
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// A screen of so many pixels, dark or light.
    pub fn looks_like(&mut self, width: u32, height: u32, scheme: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call("Emulation.setDeviceMetricsOverride", size);
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", features);
    }

    /// What axe-core finds wrong with the page.
    pub fn accessibility_faults(&mut self, axe: &Path) -> Vec<String> {
        let source = fs::read_to_string(axe).expect("axe-core");
        self.run(&format!("{source}\n;true"));
        let found = self.run("axe.run().then((found) => JSON.stringify(found.violations.map((one) => `${one.id}: ${one.help}: ${one.nodes[0].html}`)))");
        serde_json::from_str(found.as_str().expect("text")).expect("a list")
    }

    fn call(&mut self, method: &str, arguments: Value) -> Value {
        self.calls += 1;
        let mut call = json!({ "id": self.calls, "method": method, "params": arguments });
        if !self.session.is_empty() {
            call["sessionId"] = json!(self.session);
        }
        self.socket.send(Message::text(call.to_string())).expect("the browser listens");
        loop {
            let Message::Text(text) = self.socket.read().expect("the browser answers") else { continue };
            let said: Value = serde_json::from_str(&text).expect("JSON");
            if said["id"] == json!(self.calls) {
                assert!(said["error"].is_null(), "{method}: {}", said["error"]);
                return said["result"].clone();
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where CI has put axe-core.
pub fn axe() -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/browser/node_modules/axe-core/axe.min.js");
    file.is_file().then_some(file)
}
