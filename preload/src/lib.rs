//! libsidestep.so.
