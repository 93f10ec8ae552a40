//! Tests of channels on two joined associations.
