//! The declaration of a verb ([`Verb`]), the context that it is made from ([`Context`]),
//! its settings, and the memory of keys.

mod context;
mod hosting;
mod key_cache;
mod permits;
mod settings;
mod verb;

pub use context::Context;
pub use hosting::{Delivery, Hosting, PublicBucket};
pub use key_cache::{KeyCache, KeyCacheError};
pub use permits::{Permit, Permits};
pub use settings::{DeleteBehavior, PackageBytes, ReadAccess};
pub use verb::{AnyVerb, Verb};
