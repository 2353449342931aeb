//! Every view of a feed against a small pure model of it.
