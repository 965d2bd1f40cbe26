//! Newtypes for ids, so that one kind can't be taken for another.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($repr:ty), $label:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $repr);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($label, "{}"), self.0)
            }
        }
    };
}

macro_rules! dense_id {
    ($(#[$doc:meta])* $name:ident, $label:literal) => {
        id!($(#[$doc])* $name(u32), $label);

        impl $name {
            /// The position in the vector that this id counts.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

dense_id! {
    /// A stage of a plan: its index there.
    StageId, "s"
}
dense_id! {
    /// A PCollection of a plan: its index there.
    PCollectionId, "p"
}
dense_id! {
    /// An environment of a plan: its index there.
    EnvironmentId, "e"
}
dense_id! {
    /// One of the fixed number of parts that a keyed stage's keys are hashed into. Work on a key
    /// group is exclusive, so that each key is processed by one bundle at a time.
    KeyGroup, "k"
}
id! {
    /// One attempt to process a piece of a stage's work.
    BundleId(u64), "b"
}
id! {
    /// An SDK worker.
    WorkerId(u64), "w"
}
