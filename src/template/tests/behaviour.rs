//! What templates do beyond the table.
