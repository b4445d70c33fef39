//! Scripted segments.
