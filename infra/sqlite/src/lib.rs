//! `SQLite` 3.51.3 under the name of 3.49.2, which dynoxide 3.2 asks for: a WAL that is reset
//! by one of two connections can lose a commit before 3.51.3, and `nuthatch key create`
//! opens a second one beside a server (<https://sqlite.org/releaselog/3_51_3.html>). To be
//! removed once dynoxide asks for a newer one.

pub use newer::*;
