//! Pairs of files, good and bad, and how a change of them is noticed.

use super::*;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

struct Pair {
    directory: TempDir,
    files: KeyFiles,
}

impl Pair {
    fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        let file = |name: &str| directory.path().join(name);
        let files = KeyFiles { certificate: file("cert.pem"), private_key: file("key.pem") };
        let pair = Self { directory, files };
        pair.write(2040);
        pair
    }

    /// A pair that is valid until that year.
    fn write(&self, until: i32) {
        let mut parameters = rcgen::CertificateParams::new(vec!["edge".to_owned()]).expect("a name");
        parameters.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = parameters.self_signed(&key).expect("a certificate");
        self.put(&self.files.certificate, &certificate.pem());
        self.put(&self.files.private_key, &key.serialize_pem());
    }

    fn put(&self, file: &Path, content: &str) {
        let new = self.directory.path().join("new");
        fs::write(&new, content).expect("a file");
        fs::set_permissions(&new, fs::Permissions::from_mode(0o640)).expect("our own");
        fs::rename(new, file).expect("the same directory");
    }

    fn error(&self) -> String {
        self.files.load().err().map(|error| error.to_string()).unwrap_or_default()
    }
}

const DAY: u64 = 86_400;

#[test]
fn a_pair_says_until_when_it_is_valid() {
    let certificates = Pair::new().files.load().expect("a pair");
    let (years, leap_days) = (2040 - 1970, 17);
    assert_eq!(certificates.expires(), (years * 365 + leap_days) * DAY);
}

#[test]
fn what_is_wrong_with_a_pair_is_said_with_its_remedy() {
    let pair = Pair::new();
    let KeyFiles { certificate, private_key } = &pair.files;
    fs::set_permissions(private_key, fs::Permissions::from_mode(0o644)).expect("our own");
    assert!(pair.error().contains("(mode 0644); take that away: chmod o-rwx "), "{}", pair.error());
    pair.put(private_key, &rcgen::KeyPair::generate().expect("a key").serialize_pem());
    assert!(pair.error().contains("is not the key of"), "{}", pair.error());
    pair.put(private_key, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    assert!(pair.error().contains("can not be served with"), "{}", pair.error());
    pair.put(private_key, "nothing");
    assert!(pair.error().contains("holds no private key"), "{}", pair.error());
    pair.put(certificate, "nothing");
    assert!(pair.error().contains("holds no certificate"), "{}", pair.error());
    fs::remove_file(certificate).expect("there");
    assert!(pair.error().contains("cert.pem can not be read"), "{}", pair.error());
}

#[test]
fn a_new_pair_is_served_once_it_is_whole_and_a_bad_one_never() {
    let pair = Pair::new();
    let certificates = pair.files.load().expect("a pair");
    let first = certificates.expires();
    let look_twice = || (0..2).for_each(|_| certificates.look());
    pair.put(&pair.files.private_key, "being written");
    look_twice();
    assert_eq!(certificates.expires(), first);
    pair.write(2041);
    certificates.look();
    assert_eq!(certificates.expires(), first, "it may be half of it");
    certificates.look();
    assert_eq!(certificates.expires(), first + 366 * DAY);
    fs::remove_file(&pair.files.certificate).expect("there");
    look_twice();
    assert_eq!(certificates.expires(), first + 366 * DAY);
}
