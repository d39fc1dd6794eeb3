//! The settings, from the environment, read once.

use crate::fault::{self, Fault};
use std::env;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

/// One way through a network and a server: what DAOS's own take on loopback with memory as storage (20 to 26 us).
const LATENCY_US: u64 = 20;

/// Which access a client is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// All of it.
    ReadWrite,
    /// Pools and containers can be opened for reading.
    ReadOnly,
    /// Pools can be opened, containers can not.
    NoContainer,
    /// Nothing.
    NoPool,
}

/// How entries lie in a directory's object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// As libdfs's clients know them to.
    Known,
    /// In another order.
    Other,
    /// With more behind what is known.
    Longer,
}

/// What the variables say.
#[derive(Debug)]
pub struct Settings {
    /// `SIDESTEP_EMULATOR_STORE`: the directory of the pools.
    pub store: Option<PathBuf>,
    /// `SIDESTEP_EMULATOR_CREATE`: what is missing of a pool or container is made, with this layout.
    pub create: Option<String>,
    /// `SIDESTEP_EMULATOR_CHUNK`: chunk size of a container that is made, in bytes; 0 for the library's own.
    pub chunk_bytes: u64,
    /// `SIDESTEP_EMULATOR_LATENCY_US`: of each message.
    pub latency: Duration,
    /// `SIDESTEP_EMULATOR_BANDWIDTH`: bytes a second over this process's link; `None` is no bound.
    pub bandwidth: Option<u64>,
    /// `SIDESTEP_EMULATOR_VANISH`: while this file is there, no message is answered.
    pub vanish: Option<PathBuf>,
    /// `SIDESTEP_EMULATOR_COUNTERS`: the file that counts calls and messages.
    pub counters: Option<PathBuf>,
    /// `SIDESTEP_EMULATOR_POOL_BYTES`: how much a pool holds.
    pub pool_bytes: u64,
    /// `SIDESTEP_EMULATOR_RIGHTS`.
    pub rights: Rights,
    /// `SIDESTEP_EMULATOR_AGENT=absent`: no agent answers.
    pub is_agent_absent: bool,
    /// `SIDESTEP_EMULATOR_LAYOUT`: how entries lie in a directory's object.
    pub layout: Layout,
    /// `SIDESTEP_EMULATOR_LAYOUT_VERSION`: what a container that is made says of its layout; 3.
    pub layout_version: u16,
    /// `SIDESTEP_EMULATOR_LINK=NAME=OTHER`: a file that is made under the one name has the other one too, in the same
    /// directory, and both entries are marked as a later layout marks hard links.
    pub link: Option<(String, String)>,
    /// `SIDESTEP_EMULATOR_FAULT`.
    pub faults: Vec<Fault>,
}

/// The layout that 2.4 to 2.8 make.
pub const LAYOUT_VERSION: u16 = 3;

/// What a pool holds unless it is said: 1 TiB.
const POOL_BYTES: u64 = 1 << 40;

/// The settings of this process.
pub fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(read)
}

fn read() -> Settings {
    let text = |name: &str| env::var(format!("SIDESTEP_EMULATOR_{name}")).ok().filter(|text| !text.is_empty());
    let number = |name: &str| {
        let text = text(name)?;
        let number = text.parse().ok();
        if number.is_none() {
            complain(&format!("SIDESTEP_EMULATOR_{name}={text} is not a number; it is ignored"));
        }
        number
    };
    let rights = match text("RIGHTS").as_deref() {
        None | Some("read-write") => Rights::ReadWrite,
        Some("read-only") => Rights::ReadOnly,
        Some("no-container") => Rights::NoContainer,
        Some("no-pool") => Rights::NoPool,
        Some(other) => {
            complain(&format!("SIDESTEP_EMULATOR_RIGHTS={other} is not known; all rights are granted"));
            Rights::ReadWrite
        }
    };
    let layout = match text("LAYOUT").as_deref() {
        None => Layout::Known,
        Some("other") => Layout::Other,
        Some("longer") => Layout::Longer,
        Some(other) => {
            complain(&format!("SIDESTEP_EMULATOR_LAYOUT={other} is not known; it is ignored"));
            Layout::Known
        }
    };
    let create = text("CREATE").map(|layout| if layout == "1" { "posix".to_owned() } else { layout });
    Settings {
        store: text("STORE").map(PathBuf::from),
        create,
        chunk_bytes: number("CHUNK").unwrap_or(0),
        latency: Duration::from_micros(number("LATENCY_US").unwrap_or(LATENCY_US)),
        bandwidth: number("BANDWIDTH").filter(|bandwidth| *bandwidth != 0),
        vanish: text("VANISH").map(PathBuf::from),
        counters: text("COUNTERS").map(PathBuf::from),
        pool_bytes: number("POOL_BYTES").unwrap_or(POOL_BYTES),
        rights,
        is_agent_absent: text("AGENT").as_deref() == Some("absent"),
        layout,
        layout_version: number("LAYOUT_VERSION").and_then(|version| version.try_into().ok()).unwrap_or(LAYOUT_VERSION),
        link: text("LINK").and_then(|link| link.split_once('=').map(|(one, other)| (one.to_owned(), other.to_owned()))),
        faults: text("FAULT").map(|text| fault::parse(&text)).unwrap_or_default(),
    }
}

/// One line on standard error: a test that is set up wrongly must not pass quietly.
pub fn complain(message: &str) {
    let line = format!("sidestep-dfs-emulator: {message}\n");
    let _ = rustix::io::write(sidestep::ground::kernel::borrow(2), line.as_bytes());
}
