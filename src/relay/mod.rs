//! One track is a ring, a subscriber is a cursor.
