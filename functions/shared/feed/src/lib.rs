//! The declaration of a verb ([`Verb`]), the context that it is made from ([`Context`]),
//! its settings, and the memory of keys.

mod context;
mod delivery;
mod hosting;
mod key_cache;
mod settings;
mod verb;

pub use context::Context;
pub use delivery::{Delivery, StoredFile};
pub use hosting::{Hosting, PublicBucket};
pub use key_cache::{KeyCache, KeyCacheError};
pub use settings::{DeleteBehavior, PackageBytes, ReadAccess, SymbolAccess};
pub use verb::{AnyVerb, Verb};
