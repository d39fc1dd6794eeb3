//! What a call needs of a node that is in the table.

use super::client::handle::Handle;
use super::object::ObjectId;
use crate::store::{Kind, NodeId};
use std::sync::Arc;

/// A node's number, object, kind and handle: what a call needs of it.
#[derive(Clone)]
pub struct Known {
    /// Its number.
    pub id: NodeId,
    /// Its object.
    pub object: ObjectId,
    /// Its kind.
    pub kind: Kind,
    /// Its handle.
    pub handle: Arc<Handle>,
}

/// What of a node is to be removed or hidden: it need not be in the table.
#[derive(Clone, Copy)]
pub struct Which {
    /// Its number there.
    pub id: Option<NodeId>,
    /// Its object.
    pub object: ObjectId,
    /// Its kind.
    pub kind: Kind,
}

impl Known {
    /// Which node it is.
    pub fn which(&self) -> Which {
        Which { id: Some(self.id), object: self.object, kind: self.kind }
    }
}
