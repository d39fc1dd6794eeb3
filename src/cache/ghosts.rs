//! Pages of a large file that were read at random once and are not cached.
//!
//! Where a file is larger than its share of the cache, most pages that are read at random are never read again, and a
//! fresh page of memory costs a tenth of the message that fills it (1.8 us of some 20, measured). So there a page is
//! cached when it is asked for the second time.

/// Pages that are remembered for a file: 64 MiB of them.
const SLOTS: usize = 16 << 10;

/// The last pages that were read past the cache; made at first need, 64 KiB.
#[derive(Debug, Default)]
pub struct Ghosts(Vec<u32>);

impl Ghosts {
    /// Whether `page` was here before; it is from now on.
    pub fn meet(&mut self, page: u64) -> bool {
        if self.0.is_empty() {
            self.0.resize(SLOTS, 0);
        }
        // Not 0, which is an empty slot. Two pages in 4 billion apart pass for each other, which does no harm.
        let mark = (page as u32).wrapping_add(1).max(1);
        let at = page.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50;
        self.0.get_mut(at as usize).is_some_and(|slot| std::mem::replace(slot, mark) == mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_met_again() {
        let mut ghosts = Ghosts::default();
        let known = (0..1000).filter(|page| ghosts.meet(*page)).count();
        assert_eq!(known, 0);
        let known = (0..1000).filter(|page| ghosts.meet(*page)).count();
        assert!(known > 900, "{known}");
    }
}
