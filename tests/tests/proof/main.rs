//! No fault, crash or race loses, mixes or invents a package: tried at every step.
//! Each test prints how much it tried.

mod crashes;
mod faults;
mod histories;
mod orders;
mod verb;
mod world;
