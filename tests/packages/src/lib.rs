//! Packages to test with: built to order, and real ones. Apart from the other tests,
//! so that those of `nupkg` are built in seconds, without the AWS SDK.

mod corpus;
mod package;
mod second_opinion;
mod symbols;

pub use corpus::{CorpusPackage, corpus};
pub use package::{Entry, PackageBuilder, nuspec};
pub use second_opinion::assert_read_alike;
pub use symbols::{AssemblyBuilder, Pdb, SymbolsPair, code_view, symbols, symbols_corpus};
