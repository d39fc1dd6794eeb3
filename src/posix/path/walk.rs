//! Through a container, component by component.

use super::buffer::{PathBuffer, is_finished, split_first};
use crate::ground::{Errno, Result};
use crate::posix::mount::{self, Connected, Mount};
use crate::posix::permission::{self, Want};
use crate::store::{Attributes, Found, Kind, NodeId};
use std::borrow::Cow;

/// `NAME_MAX`.
pub const NAME_BYTES_MAX: usize = 255;

/// Symlinks that are followed in one path, as on Linux.
pub const SYMLINKS_COUNT_MAX: u32 = 40;

/// Whether a symlink in the last component is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symlinks {
    /// It is.
    Follow,
    /// It is, unless a slash stands behind it: what makes a file makes none under such a name, wherever that leads.
    FollowToMake,
    /// The symlink itself is meant, unless a slash stands behind it.
    Keep,
    /// The name itself is meant, whatever stands behind it: what makes and removes names.
    Name,
}

/// Where a path may lead; `openat2` can narrow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Anywhere.
    Everywhere,
    /// `RESOLVE_BENEATH`: not out of the starting directory.
    Beneath,
    /// `RESOLVE_IN_ROOT`: the starting directory is the root.
    InRoot,
}

/// What the caller needs to know of the last name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastName {
    /// What it leads to.
    Found,
    /// That, and its attributes.
    Told,
    /// What it leads to, or was known to: the call opens a file, and looks again where that turns out to be gone.
    ToOpen,
    /// What it leads to if nobody far away has to be asked: the call that makes or removes the name finds out itself.
    AtHand,
}

/// How a path is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The last component.
    pub symlinks: Symlinks,
    /// What is asked about it.
    pub last: LastName,
    /// `RESOLVE_NO_SYMLINKS`: one that would be followed is an error.
    pub forbids_symlinks: bool,
    /// `RESOLVE_NO_XDEV`: so is leaving the container.
    pub stays_in_container: bool,
    /// How far it may lead.
    pub scope: Scope,
}

impl From<Symlinks> for Rules {
    fn from(symlinks: Symlinks) -> Self {
        Self {
            symlinks,
            last: LastName::Found,
            forbids_symlinks: false,
            stays_in_container: false,
            scope: Scope::Everywhere,
        }
    }
}

impl Rules {
    /// The same, with another question about the last name.
    pub fn asking(self, last: LastName) -> Self {
        Self { last, ..self }
    }

    /// Whether a symlink at the very end is followed.
    pub fn follows_last(&self) -> bool {
        self.follows(b"")
    }

    /// Whether a symlink is followed that has `behind` behind it.
    fn follows(&self, behind: &[u8]) -> bool {
        let is_last = is_finished(behind);
        match self.symlinks {
            Symlinks::Follow => true,
            Symlinks::FollowToMake => !is_last || behind.is_empty(),
            Symlinks::Keep => !behind.is_empty(),
            Symlinks::Name => !is_last,
        }
    }
}

/// What a path ended in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// A name.
    Name,
    /// Nothing: it was the starting point itself.
    Root,
    /// `.`
    Dot,
    /// `..`
    DotDot,
}

/// Where in a container a path leads.
#[derive(Clone)]
pub struct Place<'a> {
    /// The mount.
    pub mount: &'static Mount,
    /// Its container.
    pub connected: &'static Connected,
    /// The directory that holds the last name.
    pub directory: NodeId,
    /// What the name leads to; `None` where the name is free, or was not looked up.
    pub found: Option<Found>,
    /// Nobody asked what the name leads to: see [`LastName::AtHand`].
    pub is_unasked: bool,
    /// A slash stood behind the name: only a directory will do.
    pub must_be_directory: bool,
    /// What the path ended in. Where that is no name, `directory` is what `found` tells.
    pub last: Last,
    /// A piece of the application's path, or of what a symlink made of it. Not a copy in an array: places are handed
    /// on from function to function.
    name: Cow<'a, [u8]>,
}

impl Place<'_> {
    /// The last name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// What is there.
    ///
    /// # Errors
    /// `ENOENT` where nothing is, `ENOTDIR` where a directory had to be.
    pub fn existing(&self) -> Result<Found> {
        let found = self.found.ok_or(Errno::NOENT)?;
        if self.must_be_directory && found.kind != Kind::Directory { Err(Errno::NOTDIR) } else { Ok(found) }
    }

    /// The attributes of what is there.
    ///
    /// # Errors
    /// As `existing`.
    pub fn attributes(&self) -> Result<Attributes> {
        let found = self.existing()?;
        self.attributes_of(found.node)
    }

    /// The attributes of any node of this container; one that went away in between was never there.
    pub fn attributes_of(&self, node: NodeId) -> Result<Attributes> {
        self.connected
            .container
            .attributes(node)
            .map_err(|error| if error == Errno::STALE { Errno::NOENT } else { error })
    }

    /// What a check of permissions needs to know of a node of this container; the rest may be old.
    ///
    /// # Errors
    /// As `attributes_of`.
    pub fn rights_of(&self, node: NodeId) -> Result<Attributes> {
        self.connected.container.rights(node).map_err(|error| if error == Errno::STALE { Errno::NOENT } else { error })
    }

    /// Checks that names may be made and removed in the directory; its attributes.
    ///
    /// # Errors
    /// `EACCES`, `EROFS`.
    pub fn check_directory_may_change(&self) -> Result<Attributes> {
        if self.connected.container.is_read_only() {
            return Err(Errno::ROFS);
        }
        let attributes = self.rights_of(self.directory)?;
        permission::check(&attributes, Want::CHANGE_NAMES)?;
        Ok(attributes)
    }

    /// Looks the name up again, where another process may have changed it.
    ///
    /// # Errors
    /// What the lookup says but `ENOENT`.
    pub fn look_again(&mut self) -> Result<()> {
        self.is_unasked = false;
        self.found = match self.connected.container.lookup(self.directory, self.name()) {
            Ok(found) => Some(found),
            Err(Errno::NOENT) => None,
            Err(Errno::STALE) => return Err(Errno::NOENT),
            Err(error) => return Err(error),
        };
        Ok(())
    }

    /// Whether the path ended in a name.
    pub fn is_named(&self) -> bool {
        self.last == Last::Name
    }

    /// The same place, apart from the path that it was found by.
    pub fn into_owned(self) -> Place<'static> {
        Place { name: Cow::Owned(self.name.into_owned()), ..self }
    }

    /// The place of a node itself, without a name.
    pub fn of_node(mount: &'static Mount, connected: &'static Connected, found: Found, last: Last) -> Self {
        Self {
            mount,
            connected,
            directory: found.node,
            found: Some(found),
            is_unasked: false,
            must_be_directory: false,
            last,
            name: Cow::Borrowed(b""),
        }
    }
}

/// Where a walk ended.
pub enum Walked<'a> {
    /// In the container.
    Here(Place<'a>),
    /// Outside: an absolute path to be routed again, with everything that was still to be walked.
    Elsewhere(PathBuffer),
}

impl Walked<'_> {
    /// The same, apart from the path that was walked.
    pub fn into_owned(self) -> Walked<'static> {
        match self {
            Self::Here(place) => Walked::Here(place.into_owned()),
            Self::Elsewhere(path) => Walked::Elsewhere(path),
        }
    }
}

/// Follows `path` from `start`, a directory of the container. `links` counts the symlinks of the whole resolution.
///
/// # Errors
/// `ENOENT`, `ENOTDIR`, `EACCES` for a directory that may not be passed through, `ELOOP`, `ENAMETOOLONG`; `EXDEV` where
/// the rules forbid to go on.
#[inline]
pub fn walk<'a>(
    mount: &'static Mount,
    connected: &'static Connected,
    start: NodeId,
    path: &'a [u8],
    rules: Rules,
    links: &mut u32,
) -> Result<Walked<'a>> {
    let container = connected.container.as_ref();
    let _quiet = connected.quiet();
    let mut directory = start;
    // What is still to be walked: the caller's bytes, until a symlink puts others before them.
    let mut expanded: Option<PathBuffer> = None;
    let mut walked = 0;
    let mut last = Last::Root;
    loop {
        let rest = &expanded.as_ref().map_or(path, PathBuffer::as_bytes)[walked..];
        let (name, behind) = split_first(rest);
        let after = rest.len() - behind.len() + walked;
        match name {
            b"" => return Ok(Walked::Here(nameless(mount, connected, directory, last)?)),
            b"." => {
                search(connected, directory)?;
                walked = after;
                last = Last::Dot;
                continue;
            }
            b".." => {
                search(connected, directory)?;
                if directory == start && rules.scope != Scope::Everywhere {
                    if rules.scope == Scope::Beneath {
                        return Err(Errno::XDEV);
                    }
                    walked = after;
                    last = Last::DotDot;
                    continue;
                }
                if directory == container.root() {
                    if rules.stays_in_container {
                        return Err(Errno::XDEV);
                    }
                    return outside(mount, behind).map(Walked::Elsewhere);
                }
                directory = container.whereabouts(directory, &mut [0; NAME_BYTES_MAX])?.0;
                walked = after;
                last = Last::DotDot;
                continue;
            }
            _ if name.len() > NAME_BYTES_MAX => return Err(Errno::NAMETOOLONG),
            _ => {}
        }
        search(connected, directory)?;
        if let Some(inner) = mount::nested_at(mount, directory, name) {
            if rules.scope == Scope::Beneath || rules.stays_in_container {
                return Err(Errno::XDEV);
            }
            let mut path = PathBuffer::of(&inner.configuration.prefix)?;
            path.push(behind)?;
            return Ok(Walked::Elsewhere(path));
        }
        let is_last = is_finished(behind);
        let asked = match rules.last {
            LastName::AtHand if is_last => container.lookup_at_hand(directory, name),
            LastName::Told if is_last => Some(container.lookup_to_tell(directory, name)),
            // A slash behind it asks for a directory: what the name is now decides.
            LastName::ToOpen if is_last && behind.is_empty() => Some(container.lookup_to_open(directory, name)),
            _ => Some(container.lookup(directory, name)),
        };
        let is_unasked = asked.is_none();
        let found = match asked.unwrap_or(Err(Errno::NOENT)) {
            Ok(found) => Some(found),
            Err(Errno::NOENT) if is_last => None,
            // The directory was removed under us.
            Err(Errno::STALE) => return Err(Errno::NOENT),
            Err(error) => return Err(error),
        };
        if let Some(link) = found
            && link.kind == Kind::Symlink
            && rules.follows(behind)
        {
            *links += 1;
            if *links > SYMLINKS_COUNT_MAX || rules.forbids_symlinks {
                return Err(Errno::LOOP);
            }
            let next = expand(connected, link.node, behind)?;
            if next.as_bytes().starts_with(b"/") {
                match rules.scope {
                    Scope::Everywhere if rules.stays_in_container => return Err(Errno::XDEV),
                    Scope::Everywhere => return Ok(Walked::Elsewhere(next)),
                    Scope::Beneath => return Err(Errno::XDEV),
                    Scope::InRoot => directory = start,
                }
            }
            expanded = Some(next);
            walked = 0;
            continue;
        }
        if is_last {
            let name = match &expanded {
                None => Cow::Borrowed(&path[after - name.len()..after]),
                Some(_) => Cow::Owned(name.to_vec()),
            };
            let must_be_directory = !behind.is_empty();
            let place =
                Place { mount, connected, directory, found, is_unasked, must_be_directory, last: Last::Name, name };
            return Ok(Walked::Here(place));
        }
        match found {
            Some(Found { node, kind: Kind::Directory, .. }) => directory = node,
            Some(_) => return Err(Errno::NOTDIR),
            None => return Err(Errno::NOENT),
        }
        walked = after;
        last = Last::Root;
    }
}

/// A symlink's target, and what stood behind the symlink.
fn expand(connected: &Connected, link: NodeId, behind: &[u8]) -> Result<PathBuffer> {
    let mut next = PathBuffer::new();
    let length = connected.container.read_link(link, next.room())?;
    next.set_length(length);
    next.push(behind)?;
    Ok(next)
}

/// The host's path for what stands behind a `..` above the prefix.
fn outside(mount: &Mount, behind: &[u8]) -> Result<PathBuffer> {
    let mut path = PathBuffer::of(&mount.configuration.prefix)?;
    path.pop_component();
    path.push(behind)?;
    Ok(path)
}

fn nameless(
    mount: &'static Mount,
    connected: &'static Connected,
    directory: NodeId,
    last: Last,
) -> Result<Place<'static>> {
    let gone = |error| if error == Errno::STALE { Errno::NOENT } else { error };
    let attributes = connected.container.attributes(directory).map_err(gone)?;
    let found = Found { node: directory, generation: attributes.generation, kind: attributes.kind };
    Ok(Place::of_node(mount, connected, found, last))
}

/// The superuser passes through any directory; for everybody else its bits are asked.
fn search(connected: &Connected, directory: NodeId) -> Result<()> {
    if crate::posix::credentials::user() == 0 {
        return Ok(());
    }
    match connected.container.rights(directory) {
        Ok(attributes) => permission::check(&attributes, Want::SEARCH),
        Err(Errno::STALE) => Err(Errno::NOENT),
        Err(error) => Err(error),
    }
}
