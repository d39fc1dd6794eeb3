//! Why a container could not be mounted: the thing by its name, and the remedy.

use super::error::DaosError;
use super::library::LoadError;
use crate::ground::Errno;
use std::fmt;

/// The steps of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// `daos_init`: the agent is asked about the system.
    Start,
    /// The pool is connected.
    Pool,
    /// The container is opened.
    Container,
    /// Its namespace is mounted.
    Mount,
}

/// Why a container could not be mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// No libraries.
    Library(LoadError),
    /// The agent does not answer.
    NoAgent,
    /// The agent and the libraries are of releases that do not go together.
    AgentIncompatible,
    /// The agent serves no DAOS system of the name that was asked for.
    NoSystem {
        /// The name.
        system: String,
    },
    /// The DAOS system has no such pool.
    NoPool {
        /// The pool's label or UUID.
        pool: String,
    },
    /// The pool has no such container.
    NoContainer {
        /// Pool and container.
        container: String,
    },
    /// The container is there, but not one with files.
    NotPosix {
        /// Pool and container.
        container: String,
    },
    /// No snapshot of that name, or a library that has none.
    NoSnapshot {
        /// Pool and container.
        container: String,
        /// The snapshot's name.
        snapshot: String,
    },
    /// The access control list does not let us in, not even to read.
    NoRight {
        /// The pool, or pool and container.
        what: String,
        /// What was tried.
        step: Step,
    },
    /// The servers do not answer.
    NoAnswer {
        /// The pool, or pool and container.
        what: String,
        /// What was tried.
        step: Step,
        /// How the waiting ended.
        errno: Errno,
    },
    /// The libraries answered with another error.
    Other {
        /// The pool, or pool and container.
        what: String,
        /// What was tried.
        step: Step,
        /// The answer as a number of theirs.
        number: i32,
        /// And what it is to a program.
        errno: Errno,
    },
}

impl OpenError {
    /// The error of a step that answered `number`.
    pub(super) fn of(step: Step, number: i32, pool: &str, container: &str) -> Self {
        let both = || format!("{pool}/{container}");
        let what = || if matches!(step, Step::Start | Step::Pool) { pool.to_owned() } else { both() };
        if step == Step::Mount {
            return match number {
                libc::EINVAL | libc::ENOENT => Self::NotPosix { container: both() },
                libc::EPERM | libc::EACCES => Self::NoRight { what: both(), step },
                number => {
                    let errno = super::error::of_dfs(number).err().unwrap_or(Errno::IO);
                    Self::Other { what: both(), step, number, errno }
                }
            };
        }
        let error = DaosError::from_number(number);
        match (error, step) {
            (DaosError::AgentCommunication, _) => Self::NoAgent,
            // A socket that is not there is told so by releases before 2.6.
            (DaosError::BadPath | DaosError::Nonexistent | DaosError::Miscellaneous, Step::Start) => Self::NoAgent,
            (DaosError::AgentIncompatible | DaosError::ControlIncompatible, _) => Self::AgentIncompatible,
            (DaosError::Nonexistent, Step::Pool) => Self::NoPool { pool: pool.to_owned() },
            (DaosError::Nonexistent | DaosError::NoContainer, _) => Self::NoContainer { container: both() },
            (DaosError::NoPermission, _) => Self::NoRight { what: what(), step },
            (DaosError::TimedOut | DaosError::Unreachable | DaosError::NoService | DaosError::OutOfGroup, _) => {
                Self::NoAnswer { what: what(), step, errno: error.errno() }
            }
            _ if number == super::client::mounted::INTERRUPTED => {
                Self::NoAnswer { what: what(), step, errno: Errno::INTR }
            }
            _ => Self::Other { what: what(), step, number, errno: error.errno() },
        }
    }

    /// The root of a mounted container could not be opened.
    pub(super) fn root(pool: &str, container: &str, errno: Errno) -> Self {
        Self::Other { what: format!("{pool}/{container}"), step: Step::Mount, number: errno.raw_os_error(), errno }
    }

    /// What the calls on a mount answer that could not be connected.
    pub fn errno(&self) -> Errno {
        match self {
            Self::Library(error) => error.errno(),
            Self::NoAgent => Errno::NOTCONN,
            Self::AgentIncompatible => Errno::PROTO,
            // A prefix whose pool or container is not there is a device that is not there: `ENOENT` would be taken for
            // the file's own absence.
            Self::NoSystem { .. } | Self::NoPool { .. } | Self::NoContainer { .. } | Self::NoSnapshot { .. } => {
                Errno::NODEV
            }
            Self::NotPosix { .. } => Errno::NOTDIR,
            Self::NoRight { .. } => Errno::ACCESS,
            Self::NoAnswer { errno, .. } | Self::Other { errno, .. } => *errno,
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let doing = |step: &Step| match step {
            Step::Start => "starting DAOS's library for",
            Step::Pool => "connecting to the pool",
            Step::Container => "opening the container",
            Step::Mount => "mounting the container",
        };
        match self {
            Self::Library(error) => write!(f, "{error}"),
            Self::NoAgent => write!(
                f,
                "no DAOS agent answers on this node; start daos_agent, or set DAOS_AGENT_DRPC_DIR to the directory of \
                 its socket (/var/run/daos_agent if unset)"
            ),
            Self::AgentIncompatible => write!(
                f,
                "the DAOS agent on this node and libdaos are of releases that do not go together; install the same \
                 release of both"
            ),
            Self::NoSystem { system } => write!(
                f,
                "the DAOS agent on this node serves no system {system}; leave sys= out for the agent's own, or correct it"
            ),
            Self::NoPool { pool } => {
                write!(
                    f,
                    "there is no pool {pool} in this DAOS system; see `daos pool list`, or name the system with sys="
                )
            }
            Self::NoContainer { container } => write!(
                f,
                "there is no container {container}; see `daos container list`, or make it: \
                 `daos container create --type POSIX {}`",
                container.replacen('/', " ", 1)
            ),
            Self::NotPosix { container } => write!(
                f,
                "the container {container} has no POSIX namespace; choose one made with \
                 `daos container create --type POSIX`"
            ),
            Self::NoSnapshot { container, snapshot } => write!(
                f,
                "the container {container} has no snapshot {snapshot}; see `daos container list-snaps {}`",
                container.replacen('/', " ", 1)
            ),
            Self::NoRight { what, step } => write!(
                f,
                "no right even to read ({} {what}); ask its owner for an entry in its access control list",
                doing(step)
            ),
            Self::NoAnswer { what, step, errno } => {
                write!(
                    f,
                    "{} {what}: no answer ({errno}); see `dmg system query`, or give it longer with timeout=",
                    doing(step)
                )
            }
            Self::Other { what, step, number, errno } => {
                write!(f, "{} {what}: DAOS error {number} ({errno})", doing(step))
            }
        }
    }
}

impl std::error::Error for OpenError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_names_the_thing_and_the_remedy() {
        let cases = [
            (Step::Start, -2034, Errno::NOTCONN, "DAOS_AGENT_DRPC_DIR"),
            (Step::Pool, -1005, Errno::NODEV, "pool tank"),
            (Step::Pool, -1001, Errno::ACCESS, "the pool tank"),
            (Step::Container, -1005, Errno::NODEV, "--type POSIX tank c1"),
            (Step::Container, -1011, Errno::TIMEDOUT, "timeout="),
            (Step::Mount, libc::EINVAL, Errno::NOTDIR, "no POSIX namespace"),
            (Step::Mount, libc::EIO, Errno::IO, "mounting the container tank/c1"),
        ];
        for (step, number, errno, words) in cases {
            let error = OpenError::of(step, number, "tank", "c1");
            assert_eq!(error.errno(), errno, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
