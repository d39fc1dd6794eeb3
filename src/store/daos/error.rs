//! What the libraries' errors are to a program: the one place that decides.
//!
//! libdfs answers with positive errno values, which it made of libdaos's numbers itself; libdaos with negative numbers.
//! Both are translated here, the second ones by an exhaustive match.

use crate::ground::{Errno, Result};

macro_rules! numbers {
    ($($(#[$about:meta])* $name:ident = $number:literal,)*) => {
        /// The errors of libdaos, by their numbers (`daos_errno.h`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum DaosError {
            $($(#[$about])* $name,)*
            /// A number that this release does not know.
            Unknown,
        }

        impl DaosError {
            /// The error behind what a call answered: `-1011` and `1011` are the same.
            pub fn from_number(number: i32) -> Self {
                match number.unsigned_abs() {
                    $($number => Self::$name,)*
                    _ => Self::Unknown,
                }
            }
        }
    };
}

numbers! {
    NoPermission = 1001, NoHandle = 1002, Invalid = 1003, Exists = 1004, Nonexistent = 1005, Unreachable = 1006,
    NoSpace = 1007, Already = 1008, NoMemory = 1009, NoSystemCall = 1010, TimedOut = 1011, Busy = 1012, Again = 1013,
    Protocol = 1014, Uninitialized = 1015, Truncated = 1016, Overflow = 1017, Canceled = 1018, OutOfGroup = 1019,
    Transport = 1020, Unregistered = 1021, AddressString = 1022, Pmix = 1023, ForwardVariable = 1024,
    Miscellaneous = 1025, BadPath = 1026, NotDirectory = 1027, CollectiveIncomplete = 1028, NoRasRank = 1029,
    NotAttached = 1030, Mismatch = 1031, Excluded = 1032, NoReply = 1033, DenialOfService = 1034, BadTarget = 1035,
    GroupVersion = 1036, ClockSync = 1037, NoSharedMemory = 1038, AddMetric = 1039, DurationMismatch = 1040,
    MetricNotPermitted = 1041, MetricPathLength = 1042, MetricNotFound = 1043, SharedMemoryRights = 1044,
    TransportFatal = 1045, QuotaLimit = 1046,
    Io = 2001, FreeMemory = 2002, NoEntry = 2003, NoType = 2004, NoSchema = 2005, NoLocal = 2006, Stale = 2007,
    NotLeader = 2008, TargetCreate = 2009, EpochReadOnly = 2010, EpochOld = 2011, KeyTooBig = 2012,
    RecordTooBig = 2013, IoInvalid = 2014, QueueBusy = 2015, Domain = 2016, Shutdown = 2017, InProgress = 2018,
    NotApplicable = 2019, NotReplica = 2020, Checksum = 2021, FormatInvalid = 2022, FormatIncompatible = 2023,
    RecordSize = 2024, TransactionRestart = 2025, DataLoss = 2026, OperationCanceled = 2027, TransactionBusy = 2028,
    AgentIncompatible = 2029, NeedTransaction = 2030, RedundancyLost = 2031, FetchAgain = 2032,
    TransactionUncertain = 2033, AgentCommunication = 2034, IdMismatch = 2035, TargetRetry = 2036,
    NotSupported = 2037, ControlIncompatible = 2038, NoService = 2039, TransactionReused = 2040, UpdateAgain = 2041,
    DriveIo = 2042, NoCertificate = 2043, BadCertificate = 2044, PartialUpdate = 2045, CheckpointBusy = 2046,
    DivisionByZero = 2047, OverloadRetry = 2048, NotResumed = 2049, NoContainer = 2050, ContainerDestroying = 2051,
    Ignored = 2052,
}

impl DaosError {
    /// What a program finds in `errno`.
    pub fn errno(self) -> Errno {
        match self {
            // The right is the pool's or the container's, which the file's mode says nothing of: the answer of a
            // network file system whose server refuses.
            Self::NoPermission | Self::NoCertificate | Self::BadCertificate => Errno::ACCESS,
            Self::EpochReadOnly => Errno::ROFS,
            Self::Exists => Errno::EXIST,
            // "Nonexistent" is said of pools, containers, objects and keys alike.
            Self::Nonexistent | Self::NoEntry => Errno::NOENT,
            // The container went away under the mount: what is open in it is no more.
            Self::NoContainer | Self::ContainerDestroying | Self::Stale | Self::EpochOld => Errno::STALE,
            // The servers dropped our handles (an eviction, a restart of the pool): no connection any more.
            Self::NoHandle | Self::Unreachable | Self::OutOfGroup | Self::NotAttached | Self::Excluded => {
                Errno::NOTCONN
            }
            Self::AgentCommunication | Self::NoService | Self::Uninitialized | Self::Shutdown => Errno::NOTCONN,
            Self::NoSpace => Errno::NOSPC,
            Self::QuotaLimit => Errno::DQUOT,
            Self::NoMemory | Self::DenialOfService => Errno::NOMEM,
            Self::NoSystemCall => Errno::NOSYS,
            Self::NotSupported | Self::NotApplicable => Errno::OPNOTSUPP,
            Self::TimedOut => Errno::TIMEDOUT,
            Self::Busy | Self::QueueBusy | Self::CheckpointBusy => Errno::BUSY,
            Self::Again | Self::InProgress | Self::OverloadRetry | Self::TransactionBusy => Errno::AGAIN,
            Self::TransactionRestart | Self::TransactionUncertain | Self::FetchAgain | Self::UpdateAgain => {
                Errno::AGAIN
            }
            Self::TargetRetry | Self::NotLeader | Self::NotReplica | Self::GroupVersion => Errno::AGAIN,
            Self::Canceled | Self::OperationCanceled => Errno::CANCELED,
            Self::Overflow => Errno::OVERFLOW,
            Self::KeyTooBig => Errno::NAMETOOLONG,
            Self::RecordTooBig | Self::Truncated => Errno::TOOBIG,
            Self::BadPath | Self::NotDirectory => Errno::NOTDIR,
            Self::Already => Errno::ALREADY,
            Self::Protocol | Self::Mismatch | Self::Unregistered | Self::AgentIncompatible => Errno::PROTO,
            Self::ControlIncompatible | Self::FormatIncompatible => Errno::PROTO,
            Self::Invalid | Self::NoType | Self::NoSchema | Self::NoLocal | Self::IoInvalid => Errno::INVAL,
            // Bytes that can't be had any more, and everything that a program can do nothing about.
            Self::Io | Self::DriveIo | Self::Checksum | Self::DataLoss | Self::RedundancyLost => Errno::IO,
            Self::Transport | Self::TransportFatal | Self::NoReply | Self::BadTarget | Self::ClockSync => Errno::IO,
            Self::AddressString | Self::Pmix | Self::ForwardVariable | Self::Miscellaneous => Errno::IO,
            Self::CollectiveIncomplete | Self::NoRasRank | Self::NoSharedMemory | Self::AddMetric => Errno::IO,
            Self::DurationMismatch | Self::MetricNotPermitted | Self::MetricPathLength | Self::MetricNotFound => {
                Errno::IO
            }
            Self::SharedMemoryRights | Self::FreeMemory | Self::TargetCreate | Self::Domain => Errno::IO,
            Self::FormatInvalid | Self::RecordSize | Self::NeedTransaction | Self::IdMismatch => Errno::IO,
            Self::TransactionReused | Self::PartialUpdate | Self::DivisionByZero | Self::NotResumed => Errno::IO,
            Self::Ignored | Self::Unknown => Errno::IO,
        }
    }
}

/// Whether a call that answered so is made again until its time is over. `ENOMEM` is a server's: a transfer that found
/// no buffer there.
pub fn is_transient(errno: Errno) -> bool {
    matches!(errno, Errno::AGAIN | Errno::BUSY | Errno::NOMEM | Errno::TIMEDOUT | Errno::CANCELED | Errno::INTR)
}

/// The outcome of a call of libdaos.
///
/// # Errors
/// As [`DaosError::errno`] has them.
pub fn of_daos(number: i32) -> Result<()> {
    if number == 0 { Ok(()) } else { Err(DaosError::from_number(number).errno()) }
}

/// The outcome of a call of libdfs: an errno of its own making, or, from a path that forgot to translate, libdaos's
/// number.
///
/// # Errors
/// What a program finds in `errno`.
pub fn of_dfs(number: i32) -> Result<()> {
    /// Linux's internal "restart", which libdfs lends for a transaction that has to be made again.
    const ERESTART: i32 = 85;
    match number {
        0 => Ok(()),
        ERESTART => Err(Errno::AGAIN),
        1..=999 => Err(Errno::from_raw_os_error(number)),
        _ => Err(DaosError::from_number(number).errno()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_both_libraries_become_errno_values() {
        assert_eq!(of_daos(0), Ok(()));
        assert_eq!(of_daos(-1007), Err(Errno::NOSPC));
        assert_eq!(of_daos(-1011), Err(Errno::TIMEDOUT));
        assert_eq!(of_daos(-2050), Err(Errno::STALE));
        assert_eq!(of_daos(-99_999), Err(Errno::IO));
        assert_eq!(of_dfs(0), Ok(()));
        assert_eq!(of_dfs(libc::ENOENT), Err(Errno::NOENT));
        assert_eq!(of_dfs(85), Err(Errno::AGAIN));
        assert_eq!(of_dfs(-1002), Err(Errno::NOTCONN));
    }

    #[test]
    fn what_passes_by_itself_is_tried_again() {
        for (number, passes) in [(-1009, true), (-2048, true), (-1007, false), (-1001, false)] {
            assert_eq!(is_transient(DaosError::from_number(number).errno()), passes, "{number}");
        }
    }
}
