//! Which engine is behind the prefix: the embedded one, the stand-in for DAOS, or a DAOS system.

use super::build;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// An engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    /// `local:`, a new store for each pair.
    Embedded,
    /// `daos:` through the stand-in, a new container for each pair.
    Emulator,
    /// `daos:POOL/CONTAINER` of a DAOS system, one container for all, emptied for each pair: one test at a time.
    Daos(String),
}

static CHOSEN: OnceLock<Engine> = OnceLock::new();

/// The one of this test binary: where its name ends in `_daos`, the system that `SIDESTEP_TEST_DAOS=POOL/CONTAINER` names,
/// else the stand-in.
pub fn chosen() -> &'static Engine {
    CHOSEN.get_or_init(|| {
        let program = std::env::current_exe().expect("a program knows its name");
        let name = program.file_name().expect("a file").to_string_lossy();
        // Cargo puts a hash behind it.
        if !name.rsplit_once('-').is_some_and(|(name, _)| name.ends_with("_daos")) {
            return Engine::Embedded;
        }
        std::env::var("SIDESTEP_TEST_DAOS").map_or(Engine::Emulator, Engine::Daos)
    })
}

/// The list of what can't pass on this test binary's engine: `tests/third_party/SUITE.txt`, or `tests/daos/SUITE.txt`.
pub fn list_of(suite: &str) -> PathBuf {
    let directory = if *chosen() == Engine::Embedded { "third_party" } else { "daos" };
    build::source_root().join(format!("tests/{directory}/{suite}.txt"))
}

impl Engine {
    /// A mount's options: as they are, but for what only an embedded store has.
    pub fn options(&self, options: &str) -> String {
        let is_known = |option: &&str| *self == Self::Embedded || !option.starts_with("targets=");
        options.split('&').filter(is_known).collect::<Vec<_>>().join("&")
    }

    /// Whether a case that is listed for this reason can't pass on this engine: one that begins with `stand-in:` is the
    /// stand-in's alone.
    pub fn counts(&self, reason: &str) -> bool {
        !matches!(self, Self::Daos(_)) || !reason.starts_with("stand-in:")
    }

    /// The option, to be put behind others, by which every process sees what another wrote, as it does with an embedded
    /// store.
    pub fn strict(&self) -> &'static str {
        if *self == Self::Embedded { "" } else { "&consistency=strict" }
    }

    /// The store's URL, for a pair with files of its own in `base`.
    pub fn url(&self, base: &Path) -> String {
        match self {
            Self::Embedded => format!("local:{}", base.join("store").display()),
            Self::Emulator => "daos:tank/c1".to_owned(),
            Self::Daos(address) => format!("daos:{address}"),
        }
    }

    /// The variable by which the stand-in answers at once, for suites of very many calls: while it waits out a message's 20
    /// us it offers the processor to others, who on a busy machine keep it for milliseconds (CPython's directory walks
    /// took 12.7 s with it, and 1.9 s without).
    pub fn without_latency(&self) -> Option<(String, String)> {
        (*self == Self::Emulator).then(|| ("SIDESTEP_EMULATOR_LATENCY_US".to_owned(), "0".to_owned()))
    }

    /// The variables that the engine needs.
    pub fn environment(&self, base: &Path) -> Vec<(String, String)> {
        let inherited = |name: &&str| Some(((*name).to_owned(), std::env::var(name).ok()?));
        match self {
            Self::Embedded => Vec::new(),
            Self::Emulator => {
                let library = base.join("libdfs.so");
                std::fs::copy(build::emulator(), &library).expect("the emulator was built");
                let store = base.join("daos");
                std::fs::create_dir(&store).expect("tmpfs is writable");
                let set = |name: &str, value: &Path| (name.to_owned(), value.display().to_string());
                vec![
                    set("SIDESTEP_LIBDFS", &library),
                    set("SIDESTEP_EMULATOR_STORE", &store),
                    set("SIDESTEP_EMULATOR_CREATE", Path::new("1")),
                ]
            }
            Self::Daos(_) => DAOS_VARIABLES.iter().filter_map(inherited).collect(),
        }
    }
}

/// What a client of a DAOS system may need to find it.
const DAOS_VARIABLES: [&str; 6] =
    ["SIDESTEP_LIBDFS", "LD_LIBRARY_PATH", "DAOS_AGENT_DRPC_DIR", "D_LOG_FILE", "D_LOG_MASK", "FI_TCP_IFACE"];
