//! WebTransport on the whole stack.

mod hostile;
