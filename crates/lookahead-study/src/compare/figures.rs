//! What the figures of a comparison show.
