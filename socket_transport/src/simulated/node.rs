//! What runs in a simulation, alone and together.

use std::{io, time::Instant};

/// Something that runs in a simulation: a [`Stack`](super::Stack), a scripted peer, or several of
/// them together, as tuples, slices and vectors of nodes, and references to them, are nodes.
pub trait Node {
    /// Does what there is to do now; false if that was nothing. It must not wait.
    fn turn(&mut self) -> io::Result<bool>;

    /// When there will be something to do, if nothing arrives before.
    fn next_deadline(&self) -> Option<Instant>;
}

impl<N: Node + ?Sized> Node for &mut N {
    fn turn(&mut self) -> io::Result<bool> {
        (**self).turn()
    }

    fn next_deadline(&self) -> Option<Instant> {
        (**self).next_deadline()
    }
}

impl<N: Node + ?Sized> Node for Box<N> {
    fn turn(&mut self) -> io::Result<bool> {
        (**self).turn()
    }

    fn next_deadline(&self) -> Option<Instant> {
        (**self).next_deadline()
    }
}

impl<N: Node> Node for [N] {
    fn turn(&mut self) -> io::Result<bool> {
        // Every one of them has its turn.
        self.iter_mut().try_fold(false, |worked, node| Ok(node.turn()? | worked))
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.iter().filter_map(Node::next_deadline).min()
    }
}

impl<N: Node, const COUNT: usize> Node for [N; COUNT] {
    fn turn(&mut self) -> io::Result<bool> {
        self.as_mut_slice().turn()
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.as_slice().next_deadline()
    }
}

impl<N: Node> Node for Vec<N> {
    fn turn(&mut self) -> io::Result<bool> {
        self.as_mut_slice().turn()
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.as_slice().next_deadline()
    }
}

/// A node that may be missing: one that has ended, or has not begun.
impl<N: Node> Node for Option<N> {
    fn turn(&mut self) -> io::Result<bool> {
        self.as_mut_slice().turn()
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.as_slice().next_deadline()
    }
}

macro_rules! tuples_of_nodes {
    ($(($($name:ident $node:ident),+))+) => {$(
        impl<$($name: Node),+> Node for ($($name,)+) {
            fn turn(&mut self) -> io::Result<bool> {
                let ($($node,)+) = self;
                Ok(false $(| $node.turn()?)+)
            }

            fn next_deadline(&self) -> Option<Instant> {
                let ($($node,)+) = self;
                [$($node.next_deadline()),+].into_iter().flatten().min()
            }
        }
    )+};
}

tuples_of_nodes! {
    (A a, B b)
    (A a, B b, C c)
    (A a, B b, C c, D d)
}
