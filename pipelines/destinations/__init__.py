"""What goes out: one protocol for every destination, and one file a platform."""
