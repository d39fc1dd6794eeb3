//! Looking up: a name in a directory, or a path.

use crate::attributes::Stat;
use crate::errors::Answer;
use crate::mount::{Body, Mount, Object, PATH_BYTES_MAX, check_access, check_name};
use crate::oid;
use crate::wire::Exchange;
use rustix::io::Errno;

/// Symlinks that may lead to one another.
const SYMLINKS_DEEP_MAX: usize = 40;

impl Mount {
    /// `dfs_lookup_rel`: one message, one more for a symlink, one more for attributes.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`, `EINVAL`; `ENOTSUP` with `O_APPEND`.
    pub fn lookup_in(
        &self,
        wire: &mut Exchange,
        parent: Option<&Object>,
        name: &[u8],
        flags: i32,
        wants_attributes: bool,
    ) -> Answer<(Object, Option<Stat>)> {
        let parent = self.directory(parent)?;
        if flags & libc::O_APPEND != 0 {
            return Err(Errno::NOTSUP.into());
        }
        check_name(name)?;
        check_access(flags)?;
        let record = self.container.fetch(wire, parent.oid, name, true)?.ok_or(Errno::NOENT)?;
        let object = self.object(&record, parent.oid, name, flags);
        if let Body::Symlink(target) = &object.body
            && flags & libc::O_NOFOLLOW == 0
        {
            return self.walk(wire, parent, target, flags, wants_attributes, 0);
        }
        self.finish(wire, object, &record, wants_attributes)
    }

    /// `dfs_lookup`: one message for each component.
    ///
    /// # Errors
    /// As [`Mount::lookup_in`]; `EINVAL` for a path that does not begin with a slash; `ELOOP`.
    pub fn lookup(
        &self,
        wire: &mut Exchange,
        path: &[u8],
        flags: i32,
        wants_attributes: bool,
    ) -> Answer<(Object, Option<Stat>)> {
        if flags & libc::O_APPEND != 0 {
            return Err(Errno::NOTSUP.into());
        }
        if path.len() >= PATH_BYTES_MAX || path.first() != Some(&b'/') {
            return Err(Errno::INVAL.into());
        }
        self.walk(wire, &self.root, path, flags, wants_attributes, 0)
    }

    /// Follows a path from a directory, through symlinks; `depth` of them have been followed already.
    ///
    /// # Errors
    /// As [`Mount::lookup`].
    pub fn walk(
        &self,
        wire: &mut Exchange,
        from: &Object,
        path: &[u8],
        flags: i32,
        wants_attributes: bool,
        depth: usize,
    ) -> Answer<(Object, Option<Stat>)> {
        if depth >= SYMLINKS_DEEP_MAX {
            return Err(Errno::LOOP.into());
        }
        if path.first() == Some(&b'/') && from.oid != oid::ROOT {
            return Err(Errno::INVAL.into());
        }
        check_access(flags)?;
        let mut at = self.duplicate(from, flags & libc::O_ACCMODE)?;
        at.flags = flags;
        let mut components = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).peekable();
        let mut stat = None;
        let mut is_from = true;
        while let Some(mut name) = components.next() {
            is_from = false;
            let mut directory = at.oid;
            if name == b".." {
                // An object knows its parent, and no more: one step up is all there is, and never the last.
                if directory == oid::ROOT {
                    return Err(Errno::NOENT.into());
                }
                directory = at.parent;
                name = components.next().filter(|next| *next != b"..").ok_or(Errno::NOTSUP)?;
            }
            let record = self.container.fetch(wire, directory, name, true)?.ok_or(Errno::NOENT)?;
            let parent = Object { oid: directory, ..self.duplicate(&at, 0)? };
            let found = self.object(&record, directory, name, flags);
            let is_last = components.peek().is_none();
            (at, stat) = match &found.body {
                Body::File(_) if !is_last => return Err(Errno::NOENT.into()),
                Body::Symlink(target) if !is_last || flags & libc::O_NOFOLLOW == 0 => {
                    self.walk(wire, &parent, target, flags, wants_attributes && is_last, depth + 1)?
                }
                _ => self.finish(wire, found, &record, wants_attributes && is_last)?,
            };
        }
        if is_from {
            if wants_attributes {
                stat = Some(self.entry_stat(wire, at.parent, &at.name.clone(), None, true)?.0);
            }
            if let Body::Directory { chunk_bytes, class } = from.body {
                at.body = Body::Directory { chunk_bytes, class };
            }
        }
        Ok((at, stat))
    }

    fn finish(
        &self,
        wire: &mut Exchange,
        object: Object,
        record: &crate::record::Record,
        wants_attributes: bool,
    ) -> Answer<(Object, Option<Stat>)> {
        if let Body::File(array) = &object.body
            && object.flags & libc::O_TRUNC != 0
        {
            array.set_size(wire, 0)?;
        }
        let stat = if wants_attributes { Some(self.stat_of(wire, &object, record)?) } else { None };
        Ok((object, stat))
    }
}
