//! WebTransport on the whole stack.

mod endings;
mod hostile;
mod pressure;
mod sessions;
mod speed;
