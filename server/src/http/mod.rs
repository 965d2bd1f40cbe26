//! One port for everything: gRPC and HTTP, HTTP/2 and HTTP/1.1, in the clear.

mod authority;
mod connections;
mod fields;
mod listener;
mod pages;

pub use connections::{Connections, serve};
pub(crate) use fields::Fields;
pub use listener::{BindError, Listeners, bind};
pub use pages::{Health, router};
