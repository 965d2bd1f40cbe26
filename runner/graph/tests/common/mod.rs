//! Pipelines made by hand, and what must hold of every plan.

#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod builder;
pub(crate) mod check;
pub(crate) mod stages;
