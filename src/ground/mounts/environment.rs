//! Where the mounts of this process are written down.

use super::{MOUNTS_VARIABLE, Mount, MountOptions, MountsError, StoreUrl, Trouble};
use super::{leads_under, parse, parse::parse_prefix};
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Looks a variable up.
pub(super) type Variables<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// The prefix of a process that was told nothing.
const DEFAULT_PREFIX: &[u8] = b"/daos";

/// The mounts of this process: `SIDESTEP_MOUNTS`, else `D_IL_MOUNT_POINT` with `D_IL_POOL` and `D_IL_CONTAINER`, else
/// `/daos` on the default store. An empty variable counts as unset, as a job script may leave it.
///
/// # Errors
/// The first fault of the variables.
pub fn from_environment() -> Result<Vec<Mount>, MountsError> {
    from_variables(&|name| std::env::var_os(name))
}

/// The same over any set of variables.
pub(super) fn from_variables(variable: &Variables) -> Result<Vec<Mount>, MountsError> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    if let Some(text) = variable(MOUNTS_VARIABLE) {
        return parse(text.as_bytes());
    }
    if let Some(prefix) = variable("D_IL_MOUNT_POINT") {
        return pil4dfs_mount(&prefix, &variable);
    }
    let fault = |found: String, trouble| MountsError {
        source: MOUNTS_VARIABLE,
        mount: 0,
        mount_text: String::new(),
        offset_bytes: 0,
        found,
        trouble,
    };
    let directory = default_store_of(&variable).ok_or_else(|| fault("local:".to_owned(), Trouble::NoHome))?;
    if leads_under(directory.as_os_str().as_bytes(), std::iter::once(DEFAULT_PREFIX)) {
        return Err(fault(directory.display().to_string(), Trouble::HomeUnderPrefix));
    }
    let url = StoreUrl::Local { directory };
    Ok(vec![Mount { prefix: DEFAULT_PREFIX.to_vec(), url, options: MountOptions::default() }])
}

/// Whether the user turned Sidestep off for this process and its children: `SIDESTEP=off` or `SIDESTEP=0`.
pub fn is_turned_off() -> bool {
    std::env::var_os("SIDESTEP").is_some_and(|value| means_off(value.as_bytes()))
}

/// Whether a value of `SIDESTEP` turns Sidestep off.
pub fn means_off(value: &[u8]) -> bool {
    matches!(value, b"off" | b"0")
}

/// `$XDG_DATA_HOME/sidestep`, or `~/.local/share/sidestep`; none without an absolute home.
pub(super) fn default_store() -> Option<PathBuf> {
    default_store_of(&|name| std::env::var_os(name))
}

fn default_store_of(variable: &Variables) -> Option<PathBuf> {
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .map(|data| data.join("sidestep"))
}

/// The one mount of libpil4dfs's variables.
fn pil4dfs_mount(prefix: &OsString, variable: &Variables) -> Result<Vec<Mount>, MountsError> {
    let fault = |source, found: &str, trouble| MountsError {
        source,
        mount: 0,
        mount_text: String::new(),
        offset_bytes: 0,
        found: found.to_owned(),
        trouble,
    };
    let label = |name: &'static str| {
        let value = variable(name).ok_or_else(|| fault("D_IL_MOUNT_POINT", name, Trouble::IncompletePil4dfs))?;
        value.into_string().map_err(|value| fault(name, &value.to_string_lossy(), Trouble::NotText))
    };
    let prefix = parse_prefix(prefix.as_bytes())
        .map_err(|trouble| fault("D_IL_MOUNT_POINT", &prefix.to_string_lossy(), trouble))?;
    let url = StoreUrl::Daos { pool: label("D_IL_POOL")?, container: label("D_IL_CONTAINER")? };
    Ok(vec![Mount { prefix, url, options: MountOptions::default() }])
}
