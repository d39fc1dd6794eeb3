//! What goes wrong: an errno, or one of DAOS's own numbers, and how the two turn into each other.
//!
//! libdfs answers positive errno values, libdaos negative DER numbers. The two tables below are DAOS 2.8's; what is in
//! neither becomes `EIO` or `DER_MISC`, as there.

use rustix::io::Errno;

/// One of DAOS's error numbers, positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Der(pub i32);

impl Der {
    /// No right.
    pub const NO_PERM: Self = Self(1001);
    /// A handle that is none.
    pub const NO_HDL: Self = Self(1002);
    /// An argument that makes no sense.
    pub const INVAL: Self = Self(1003);
    /// It is there already.
    pub const EXIST: Self = Self(1004);
    /// It is not there.
    pub const NONEXIST: Self = Self(1005);
    /// The pool is full.
    pub const NOSPACE: Self = Self(1007);
    /// Busy.
    pub const BUSY: Self = Self(1012);
    /// The library was not started.
    pub const UNINIT: Self = Self(1015);
    /// Anything.
    pub const MISC: Self = Self(1025);
    /// A record is larger than the room for it.
    pub const REC2BIG: Self = Self(2013);
    /// Too many tiny ranges in one call.
    pub const NOTSUPPORTED: Self = Self(2037);

    /// By its name, `DER_` and all.
    pub fn by_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| Self(*number))
    }

    /// What libdfs makes of it.
    pub fn to_errno(self) -> Errno {
        match self.0 {
            1001 | 2010 | 2011 | 2051 => Errno::PERM,
            1005 | 2003 => Errno::NOENT,
            1002 | 1003 | 2004 | 2005 | 2006 | 2014 => Errno::INVAL,
            2012 | 2013 => Errno::TOOBIG,
            1004 => Errno::EXIST,
            1006 => Errno::HOSTUNREACH,
            1007 => Errno::NOSPC,
            1008 => Errno::ALREADY,
            1009 | 1034 => Errno::NOMEM,
            1011 => Errno::TIMEDOUT,
            1012 | 2015 => Errno::BUSY,
            1013 => Errno::AGAIN,
            1014 => Errno::PROTO,
            1018 => Errno::CANCELED,
            1017 => Errno::OVERFLOW,
            1026 | 1027 => Errno::NOTDIR,
            2007 => Errno::STALE,
            2025 => Errno::RESTART,
            2037 => Errno::NOTSUP,
            _ => Errno::IO,
        }
    }

    /// What libdaos makes of an errno.
    pub fn from_errno(errno: Errno) -> Self {
        match errno {
            Errno::PERM | Errno::ACCESS => Self::NO_PERM,
            Errno::NOMEM => Self(1009),
            Errno::DQUOT | Errno::NOSPC => Self::NOSPACE,
            Errno::EXIST => Self::EXIST,
            Errno::NOENT => Self::NONEXIST,
            Errno::CANCELED => Self(1018),
            Errno::BUSY => Self::BUSY,
            Errno::OVERFLOW => Self(1017),
            Errno::BADF => Self::NO_HDL,
            Errno::NOSYS => Self(1010),
            Errno::TIMEDOUT => Self(1011),
            Errno::AGAIN => Self(1013),
            Errno::PROTO => Self(1014),
            Errno::INVAL => Self::INVAL,
            Errno::NOTDIR => Self(1027),
            Errno::IO => Self(2001),
            Errno::NOTSUP => Self::NOTSUPPORTED,
            _ => Self::MISC,
        }
    }
}

/// The numbers that a fault may ask for by name.
const NAMES: &[(&str, i32)] = &[
    ("DER_NO_PERM", 1001),
    ("DER_NO_HDL", 1002),
    ("DER_INVAL", 1003),
    ("DER_EXIST", 1004),
    ("DER_NONEXIST", 1005),
    ("DER_UNREACH", 1006),
    ("DER_NOSPACE", 1007),
    ("DER_ALREADY", 1008),
    ("DER_NOMEM", 1009),
    ("DER_NOSYS", 1010),
    ("DER_TIMEDOUT", 1011),
    ("DER_BUSY", 1012),
    ("DER_AGAIN", 1013),
    ("DER_PROTO", 1014),
    ("DER_UNINIT", 1015),
    ("DER_TRUNC", 1016),
    ("DER_OVERFLOW", 1017),
    ("DER_CANCELED", 1018),
    ("DER_OOG", 1019),
    ("DER_HG", 1020),
    ("DER_MISC", 1025),
    ("DER_BADPATH", 1026),
    ("DER_NOTDIR", 1027),
    ("DER_EXCLUDED", 1032),
    ("DER_NOREPLY", 1033),
    ("DER_DOS", 1034),
    ("DER_IO", 2001),
    ("DER_STALE", 2007),
    ("DER_EP_RO", 2010),
    ("DER_REC2BIG", 2013),
    ("DER_SHUTDOWN", 2017),
    ("DER_CSUM", 2021),
    ("DER_TX_RESTART", 2025),
    ("DER_DATA_LOSS", 2026),
    ("DER_AGENT_COMM", 2034),
    ("DER_NOTSUPPORTED", 2037),
    ("DER_NO_SERVICE", 2039),
    ("DER_NVME_IO", 2042),
    ("DER_CONT_NONEXIST", 2050),
    ("DER_CONT_DESTROYING", 2051),
];

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// libdfs found it.
    Errno(Errno),
    /// libdaos or a server found it.
    Der(Der),
}

/// What a call answers.
pub type Answer<T> = Result<T, Trouble>;

impl Trouble {
    /// As libdfs answers it: a positive errno.
    pub fn for_dfs(self) -> i32 {
        match self {
            Self::Errno(errno) => errno.raw_os_error(),
            Self::Der(der) => der.to_errno().raw_os_error(),
        }
    }

    /// As libdaos answers it: a negative DER number.
    pub fn for_daos(self) -> i32 {
        match self {
            Self::Errno(errno) => -Der::from_errno(errno).0,
            Self::Der(der) => -der.0,
        }
    }
}

impl From<Errno> for Trouble {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<Der> for Trouble {
    fn from(der: Der) -> Self {
        Self::Der(der)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libdfs_answers_is_positive_and_what_libdaos_answers_negative() {
        assert_eq!(Trouble::from(Der::NOSPACE).for_dfs(), Errno::NOSPC.raw_os_error());
        assert_eq!(Trouble::from(Errno::NOSPC).for_daos(), -1007);
        assert_eq!(Der::by_name("DER_DATA_LOSS").map(Der::to_errno), Some(Errno::IO));
        assert_eq!(Der::by_name("EIO"), None);
    }
}
