//! A seeded virtual network under a virtual clock. Knows no protocol.
