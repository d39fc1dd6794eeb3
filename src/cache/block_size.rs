//! How large a file's blocks are.

use super::frame::{BLOCK_BYTES_MAX, BLOCK_BYTES_MIN};

/// What a block of a larger chunk should come to, in bytes: on a real system messages of 1 MiB reach full bandwidth.
const BLOCK_BYTES_AIM: u64 = 1 << 20;

/// The block size for a chunk size, both in bytes: the chunk from 64 KiB to 4 MiB; a piece of a larger one that it is a
/// multiple of; some whole chunks of a smaller one. Only a large chunk that nothing between divides has blocks that
/// straddle its ends.
pub fn block_bytes(chunk_bytes: u64) -> u32 {
    let chunk_bytes = chunk_bytes.max(1);
    let block = if chunk_bytes < BLOCK_BYTES_MIN {
        chunk_bytes * BLOCK_BYTES_MIN.div_ceil(chunk_bytes)
    } else if chunk_bytes <= BLOCK_BYTES_MAX {
        chunk_bytes
    } else {
        let pieces = chunk_bytes.div_ceil(BLOCK_BYTES_AIM)..=chunk_bytes / BLOCK_BYTES_MIN;
        let fewer = (chunk_bytes.div_ceil(BLOCK_BYTES_MAX)..chunk_bytes.div_ceil(BLOCK_BYTES_AIM)).rev();
        let divides = |pieces: &u64| chunk_bytes.is_multiple_of(*pieces);
        // The nearest at or below the aim, if it is no less than a quarter of it; else one above.
        let found = pieces.clone().take_while(|pieces| chunk_bytes / pieces >= BLOCK_BYTES_AIM / 4).find(divides);
        let found = found.or_else(|| fewer.clone().find(|pieces| divides(pieces)));
        found.or_else(|| pieces.clone().find(divides)).map_or(BLOCK_BYTES_AIM, |pieces| chunk_bytes / pieces)
    };
    block as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_fit_chunks() {
        assert_eq!(block_bytes(1024), 64 << 10);
        assert_eq!(block_bytes(1536), 66_048, "43 chunks");
        assert_eq!(block_bytes(64 << 10), 64 << 10);
        assert_eq!(block_bytes(777 * 512), 777 * 512);
        assert_eq!(block_bytes(4 << 20), 4 << 20);
        assert_eq!(block_bytes(64 << 20), 1 << 20);
        for chunk in (1..=20_000u64).map(|step| step * 3584) {
            let block = u64::from(block_bytes(chunk));
            assert!((BLOCK_BYTES_MIN..=BLOCK_BYTES_MAX).contains(&block), "{chunk}: {block}");
            let fits = chunk.is_multiple_of(block) || block.is_multiple_of(chunk);
            assert!(fits || block == BLOCK_BYTES_AIM, "{chunk}: {block}");
        }
    }
}
